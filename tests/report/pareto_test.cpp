// Fronts and recommendations of figures that are known by hand.
#include "report/figures/pareto.h"

#include "base/files.h"
#include "report/charts/quality_charts.h"
#include "said.h"
#include "temp_dir.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <map>

namespace shimmy::report {
namespace {

struct Figures {
    const char * type;
    uint64_t file_bytes;
    double kld;
    uint64_t baseline_vram, offload_vram;
    double baseline_tps, offload_tps;
};

// Q3 is larger than Q4 and worse. All but the F16 baseline decode at more than half of the fastest.
constexpr Figures FIGURES[]{{"F16", 1600, 0.0, 1700, 300, 40.0, 30.0},
                            {"Q4", 400, 0.01, 500, 110, 60.0, 45.0},
                            {"Q3", 410, 0.05, 510, 105, 55.0, 50.0},
                            {"Q2", 200, 0.2, 300, 100, 70.0, 20.0}};

class Pareto : public ::testing::Test {
protected:
    Pareto() {
        summary_.campaign.models = {{"m", "/m.gguf", {}}};
        Json models = Json::array();
        for (const Figures & f : FIGURES) {
            summary_.variants.push_back({"m", f.type, "/m.gguf", f.type, f.file_bytes, ""});
            add_cell(f.type, engine::Placement::baseline(), f.baseline_vram, f.baseline_tps);
            add_cell(f.type, engine::Placement::offload(), f.offload_vram, f.offload_tps);
            models.push_back({{"quant", f.type}, {"sha256", f.type}, {"mean_kld", f.kld}});
            for (const char * figure : {"bits_per_weight", "ppl", "ppl_error", "ppl_ratio", "mean_kld_error",
                                        "median_kld", "kld_p99", "max_kld", "same_top_percent"})
                models.back()[figure] = 1.0;
        }
        fs::create_directories(dir_ / "quality");
        write_file_atomic(dir_ / "quality/m.json", Json{{"base", {{"file", "/m.gguf"}}},
                                                        {"text", {{"file", "/t.txt"}}},
                                                        {"n_chunks", 1},
                                                        {"n_ctx", 512},
                                                        {"models", models}}
                                                       .dump());
    }

    void add_cell(const std::string & type, engine::Placement placement, uint64_t vram, double tps) {
        lab::Cell cell{{"m", type, placement}};
        cell.figures.emplace();
        cell.figures->vram_bytes = vram;
        cell.figures->decode_tps = lab::summarize({tps});
        summary_.cells.push_back(cell);
    }

    // "Q4 offload" and so on, sorted.
    std::vector<std::string> front(Cost cost) const {
        std::vector<std::string> names;
        for (const QualityPoint & point : quality_points(summary_, "m", Quality(summary_, dir_.path()), cost)) {
            if (point.on_front)
                names.push_back(point.quantization + (point.placement ? " " : "") + point.placement_text());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    TempDir dir_;
    lab::Summary summary_;
};

using Names = std::vector<std::string>;

TEST_F(Pareto, TheFrontIsWhatNothingElseBeats) {
    EXPECT_EQ(front(Cost::file_size), (Names{"F16", "Q2", "Q4"}));
    EXPECT_EQ(front(Cost::vram), (Names{"F16 offload", "Q2 offload", "Q3 offload", "Q4 offload"}));
    EXPECT_EQ(front(Cost::speed), (Names{"F16 baseline", "Q2 baseline", "Q4 baseline"}));
}

TEST_F(Pareto, RecommendationsChangeWithTheVram) {
    std::vector<std::string> lines;
    for (const Recommendation & line : recommendations(summary_, "m", Quality(summary_, dir_.path())))
        lines.push_back(said(finding_of(line, "m")));
    ASSERT_EQ(lines.size(), 5U) << ::testing::PrintToString(lines);
    EXPECT_TRUE(lines[0].starts_with("from 100 B of VRAM: Q2 offload, mean KLD 0.20000, 20")) << lines[0];
    EXPECT_TRUE(lines[1].starts_with("from 105 B of VRAM: Q3 offload")) << "Q2 decodes at less than half of that";
    EXPECT_TRUE(lines[2].starts_with("from 110 B of VRAM: Q4 offload")) << lines[2];
    // At 300 F16 offload fits, and so does Q2's baseline of 70 tokens/s, of which F16's 30 are less than half.
    EXPECT_TRUE(lines[3].starts_with("from 500 B of VRAM: Q4 baseline")) << "as good, and faster";
    EXPECT_TRUE(lines[4].starts_with("from 1.7 KiB of VRAM: F16 baseline, mean KLD 0.00000")) << lines[4];
}

TEST_F(Pareto, WithoutQualityThereIsNothing) {
    fs::remove(dir_ / "quality/m.json");
    const Quality quality(summary_, dir_.path());
    EXPECT_TRUE(recommendations(summary_, "m", quality).empty());
    EXPECT_TRUE(pareto_table(summary_, "m", quality).rows.empty());
    EXPECT_TRUE(front_chart(summary_, "m", quality, Cost::vram).series.empty());
}

}  // namespace
}  // namespace shimmy::report
