#include "report/assets.h"

// The assembler reads the files; SHIMMY_PAGE_DIR and SHIMMY_ECHARTS_DIR come from src/CMakeLists.txt.
#define EMBED(name, path)                                                                                   \
    __asm__(                                                                                                \
        ".pushsection .rodata\n"                                                                            \
        "shimmy_asset_" #name ":\n.incbin \"" path "\"\nshimmy_asset_" #name                                \
        "_end:\n"                                                                                           \
        ".byte 0\n.popsection\n");                                                                          \
    extern "C" const char shimmy_asset_##name[];                                                            \
    extern "C" const char shimmy_asset_##name##_end[];                                                      \
    namespace shimmy::report::assets {                                                                      \
    std::string_view name() {                                                                               \
        return {shimmy_asset_##name, static_cast<size_t>(shimmy_asset_##name##_end - shimmy_asset_##name)}; \
    }                                                                                                       \
    }

EMBED(page_html, SHIMMY_PAGE_DIR "/page.html")
EMBED(page_css, SHIMMY_PAGE_DIR "/page.css")
EMBED(page_js, SHIMMY_PAGE_DIR "/page.js")
EMBED(echarts_js, SHIMMY_ECHARTS_DIR "/echarts.min.js")
EMBED(echarts_license, SHIMMY_ECHARTS_DIR "/LICENSE")
EMBED(echarts_notice, SHIMMY_ECHARTS_DIR "/NOTICE")
EMBED(echarts_d3_license, SHIMMY_ECHARTS_DIR "/LICENSE-d3")
