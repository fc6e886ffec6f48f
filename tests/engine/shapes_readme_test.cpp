// The example of shapes/README.md is built as it stands, and is what it says of itself.
#include "engine/make/synthesize.h"
#include "gguf/model_info.h"
#include "temp_dir.h"

#include "base/files.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

TEST(ShapesReadme, ItsExampleIsWhatItSays) {
    const std::string page = read_file(fs::path(SHIMMY_SOURCE_DIR) / "shapes/README.md");
    const std::string fence = "```toml\n";
    const size_t begin = page.find(fence) + fence.size();
    const TempDir dir;
    write_file_atomic(dir / "my.toml", page.substr(begin, page.find("```", begin) - begin));
    SynthOptions options;
    options.shape = gguf::load_shape((dir / "my.toml").string());
    options.output = dir / "my.gguf";
    options.sparse = true;
    synthesize(options);
    const gguf::ModelInfo info = gguf::read_model_info(options.output);
    const gguf::Expectations & expect = options.shape.expect;
    EXPECT_EQ(info.arch, expect.arch);
    EXPECT_EQ(info.n_layers, expect.n_layers);
    EXPECT_EQ(info.n_expert, expect.n_expert);
    EXPECT_EQ(info.n_expert_used, expect.n_expert_used);
    EXPECT_EQ(info.n_expert_shared, expect.n_expert_shared);
    EXPECT_EQ(info.n_ctx_train, expect.n_ctx_train);
    EXPECT_EQ(static_cast<int64_t>(info.n_expert_tensors), expect.n_expert_tensors);
    EXPECT_NEAR(static_cast<double>(info.n_params), *expect.n_params, expect.tolerance * *expect.n_params);
    EXPECT_NEAR(static_cast<double>(info.n_active_params), *expect.n_active_params,
                expect.tolerance * *expect.n_active_params);
}

}  // namespace
}  // namespace shimmy::engine
