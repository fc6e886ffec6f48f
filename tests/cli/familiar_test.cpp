// Words of other programs in shimmy's spelling, and mistakes in typing.
#include "cli/table/familiar.h"

#include "base/error.h"
#include "cli/command.h"
#include "cli/model_name.h"

#include <gtest/gtest.h>

namespace shimmy::cli {
namespace {

using Words = std::vector<std::string>;

class Familiar : public testing::Test {
protected:
    Familiar() : commands_(app_) { add_all(commands_); }
    Words respelled(const Words & words) { return cli::respelled(words, read_options_table(app_)); }
    std::string about(const std::string & word, const Words & words) {
        return unexpected_word(word, words, read_options_table(app_));
    }
    CLI::App app_{"test", "shimmy"};
    Commands commands_;
};

TEST_F(Familiar, OptionsOfLlamaCpp) {
    EXPECT_EQ(respelled({"generate", "-m", "a.gguf", "-c", "512", "--temp=0.5", "-fa", "on"}),
              (Words{"generate", "--model", "a.gguf", "--ctx", "512", "--temperature=0.5", "--flash-attn", "on"}));
    EXPECT_EQ(respelled({"serve", "-hf", "u/n:Q4_K_M", "--no-mmap", "--jinja", "--hf-repo=u/m"}),
              (Words{"serve", "--model", "hf:u/n:Q4_K_M", "--load-mode", "none", "--model", "hf:u/m"}));
    EXPECT_EQ(respelled({"--json", "chat", "-t", "4"}), (Words{"--json", "chat", "--threads", "4"}));
    EXPECT_EQ(respelled({"init", "-t", "docker"}), (Words{"init", "-t", "docker"})) << "another command's own";
    EXPECT_EQ(respelled({"lab", "run", "-c"}), (Words{"lab", "run", "-c"})) << "another run";
}

TEST_F(Familiar, LayersOnTheGpu) {
    EXPECT_EQ(respelled({"run", "-ngl", "0", "m"}), (Words{"run", "--device", "cpu", "m"}));
    EXPECT_EQ(respelled({"run", "-ngl", "99"}), (Words{"run", "--placement", "gpu"}));
    EXPECT_EQ(respelled({"run", "--gpu-layers=all"}), (Words{"run", "--placement", "gpu"}));
    EXPECT_EQ(respelled({"run", "--n-gpu-layers", "auto"}), (Words{"run"}));
    EXPECT_THROW((void)respelled({"run", "-ngl", "98"}), UsageError);
    EXPECT_THROW((void)respelled({"run", "-ngl", "many"}), UsageError);
    EXPECT_THROW((void)respelled({"run", "-ngl"}), UsageError);
    EXPECT_THROW((void)respelled({"run", "-cnv"}), UsageError);
}

TEST_F(Familiar, WhatWasMeant) {
    EXPECT_EQ(about("serv", {"serv"}), "unknown command 'serv'; did you mean shimmy serve?");
    EXPECT_EQ(about("ls", {"ls"}), "unknown command 'ls'; did you mean shimmy list?");
    EXPECT_EQ(about("xyzzy", {"xyzzy"}), "unknown command 'xyzzy' (see shimmy --help)");
    EXPECT_EQ(about("rum", {"lab", "rum"}), "unknown command 'rum'; did you mean shimmy lab run?");
    EXPECT_EQ(about("--tread", {"serve", "--tread"}), "unknown option --tread; did you mean --threads?");
    EXPECT_EQ(about("--dry-runs", {"lab", "run", "--dry-runs"}), "unknown option --dry-runs; did you mean --dry-run?");
    EXPECT_EQ(about("--grammar=x", {"generate", "--grammar=x"}),
              "unknown option --grammar; it is llama.cpp's own: put it behind --, as in -- --grammar");
    EXPECT_EQ(about("--qqqqqq", {"list", "--qqqqqq"}), "unknown option --qqqqqq (see shimmy list --help)");
    EXPECT_EQ(about("b", {"list", "b"}), "unexpected argument 'b' (see shimmy list --help)");
}

TEST(CanonicalModelName, WhatPeoplePaste) {
    for (const auto & [text, expected] : std::vector<std::pair<std::string, std::string>>{
             {"hf.co/bartowski/Phi-GGUF", "hf:bartowski/Phi-GGUF"},
             {"hf.co/bartowski/Phi-GGUF:Q4_K_M", "hf:bartowski/Phi-GGUF:Q4_K_M"},
             {"https://huggingface.co/u/n", "hf:u/n"},
             {"https://huggingface.co/u/n/", "hf:u/n"},
             {"https://www.huggingface.co/u/n", "hf:u/n"},
             {"http://hf.co/u/n", "hf:u/n"},
             {"https://huggingface.co/u/n/tree/main", "hf:u/n"},
             {"https://huggingface.co/u/n?show=1", "hf:u/n"},
             {"https://huggingface.co/u/n/tree/v2", "hf:u/n@v2"},
             {"https://huggingface.co/u/n/tree/v2/Q8_0", "hf:u/n@v2"},
             {"https://huggingface.co/u/n/tree/try%2Fit/", "hf:u/n@try/it"},
             {"huggingface.co/u/n/blob/main/n-Q8_0.gguf", "hf:u/n:n-Q8_0.gguf"},
             {"https://huggingface.co/u/n/resolve/main/n-UD-Q4_K_XL.gguf?download=true", "hf:u/n:n-UD-Q4_K_XL.gguf"},
             {"https://huggingface.co/u/n/resolve/v2/d/x.IQ3_XXS-00002-of-00003.gguf",
              "hf:u/n@v2:d/x.IQ3_XXS-00001-of-00003.gguf"},
             {"https://huggingface.co/u/n/blob/main/a%20b/100%.gguf", "hf:u/n:a b/100%.gguf"},
             {"https://huggingface.co/u/n/discussions/1", "https://huggingface.co/u/n/discussions/1"},
             {"hf:u/n", "hf:u/n"},
             {"models/a.gguf", "models/a.gguf"},
             {"https://example.com/u/n", "https://example.com/u/n"},
             {"hf.co/u", "hf.co/u"},
         })
        EXPECT_EQ(canonical_model_name(text), expected) << text;
}

}  // namespace
}  // namespace shimmy::cli
