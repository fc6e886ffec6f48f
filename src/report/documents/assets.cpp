#include "report/documents/assets.h"

#include "base/embed.h"

// SHIMMY_PAGE_DIR and SHIMMY_ECHARTS_DIR come from src/CMakeLists.txt.
SHIMMY_EMBED(shimmy::report::assets, page_css, SHIMMY_PAGE_DIR "/page.css")
SHIMMY_EMBED(shimmy::report::assets, page_js, SHIMMY_PAGE_DIR "/page.js")
SHIMMY_EMBED(shimmy::report::assets, echarts_js, SHIMMY_ECHARTS_DIR "/echarts.min.js")
SHIMMY_EMBED(shimmy::report::assets, echarts_license, SHIMMY_ECHARTS_DIR "/LICENSE")
SHIMMY_EMBED(shimmy::report::assets, echarts_notice, SHIMMY_ECHARTS_DIR "/NOTICE")
SHIMMY_EMBED(shimmy::report::assets, echarts_d3_license, SHIMMY_ECHARTS_DIR "/LICENSE-d3")
