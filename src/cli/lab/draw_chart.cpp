#include "base/error.h"
#include "base/json.h"
#include "base/text/text_file.h"
#include "cli/command.h"
#include "report/charts/chart_json.h"
#include "report/charts/gnuplot.h"

namespace shimmy::cli {

int draw_chart() {
    const Json json = Json::parse(read_text_file("-"), nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded()) fail("standard input: this is no JSON");
    fmt::print("{}", report::drawn(report::chart_from(json)));
    return 0;
}

}  // namespace shimmy::cli
