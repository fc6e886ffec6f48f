// llama.cpp's own options: which are taken, what they change, and what they cost.
#include "engine/load/llama_args.h"

#include "base/error.h"
#include "engine/load/llama_params.h"
#include "engine/predict/estimate.h"
#include "error_of.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

using Args = std::vector<std::string>;

std::string refusal(const Args & args, LlamaUse use = LlamaUse::server) {
    try {
        check_llama_args(args, use);
    } catch (const UsageError & error) {
        return error.what();
    }
    return "";
}

TEST(LlamaArgs, WhatShimmySetsItselfIsRefusedByName) {
    EXPECT_EQ(refusal({"--ctx-size", "512"}), "--ctx-size: shimmy sets this itself; use --ctx (before the --)");
    EXPECT_EQ(refusal({"-c", "512"}), "-c: shimmy sets this itself; use --ctx (before the --)");
    EXPECT_EQ(refusal({"--swa-full", "-ngl", "9"}), "-ngl: shimmy sets this itself; use --placement (before the --)");
    EXPECT_EQ(refusal({"--no-warmup"}), "--no-warmup: shimmy sets this itself; use --no-warmup (before the --)");
    EXPECT_EQ(refusal({"--temp", "0.1"}, LlamaUse::text),
              "--temp: shimmy sets this itself; use --temperature (before the --)");
    EXPECT_EQ(refusal({"--temp", "0.1"}), "") << "a server's default for its requests";
}

TEST(LlamaArgs, WhatChangesNothingIsRefused) {
    EXPECT_EQ(refusal({"--cache-reuse", "256"}, LlamaUse::text),
              "--cache-reuse: this option of llama.cpp changes nothing here (shimmy serve takes it)");
    EXPECT_EQ(refusal({"--cache-reuse", "256"}), "");
    EXPECT_EQ(refusal({"--ssl-key-file", "k"}), "--ssl-key-file: this option of llama.cpp changes nothing here");
    EXPECT_EQ(refusal({"--ssl-key-file", "k"}, LlamaUse::text),
              "--ssl-key-file: this option of llama.cpp changes nothing here");
}

TEST(LlamaArgs, FormIsChecked) {
    EXPECT_EQ(refusal({"--no-such", "1"}),
              "--no-such: llama.cpp has no such option (after -- stand options of llama-server)");
    EXPECT_EQ(refusal({"stray"}), "stray: llama.cpp has no such option (after -- stand options of llama-server)");
    EXPECT_EQ(refusal({"--cache-type-k"}), "--cache-type-k: a value is missing (TYPE)");
    EXPECT_EQ(refusal({"--swa-full=yes"}), "--swa-full takes no value");
    EXPECT_EQ(refusal({"--cache-type-k=q8_0", "--cache_type_v", "q8_0", "--control-vector-layer-range", "1", "2"}), "");
}

TEST(LlamaArgs, HintsForWordsThatShimmyDoesNotKnow) {
    EXPECT_EQ(llama_option_hint("--n-predict", LlamaUse::text), "use --max-tokens");
    EXPECT_EQ(llama_option_hint("--dry-base=2", LlamaUse::text),
              "it is llama.cpp's own: put it behind --, as in -- --dry-base=2");
    EXPECT_EQ(llama_option_hint("--slot-save-path", LlamaUse::text), "");
    EXPECT_EQ(llama_option_hint("--no-such", LlamaUse::server), "");
}

TEST(LlamaArgs, ValuesReachLlamaCppsParameters) {
    load_backends();
    common_params params;
    apply_llama_args({"-ctk", "q8_0", "--no-kv-offload", "--op-offload", "--dry-base=2.5", "--override-kv",
                      "general.name=str:x", "--override-tensor", "ffn_.*=CPU,attn=CPU"},
                     params);
    EXPECT_EQ(params.cache_type_k, GGML_TYPE_Q8_0);
    EXPECT_EQ(params.cache_type_v, GGML_TYPE_F16);
    EXPECT_TRUE(params.no_kv_offload);
    EXPECT_FALSE(params.no_op_offload);
    EXPECT_FLOAT_EQ(params.sampling.dry_base, 2.5F);
    ASSERT_EQ(params.kv_overrides.size(), 2U);
    EXPECT_EQ(params.kv_overrides.back().key[0], 0) << "llama.cpp reads up to an empty one";
    ASSERT_EQ(params.tensor_buft_overrides.size(), 2U);
    EXPECT_STREQ(params.tensor_buft_overrides[0].pattern, "ffn_.*");
    EXPECT_STREQ(params.tensor_buft_overrides[1].pattern, "attn");
}

TEST(LlamaArgs, WrongValuesAreOneLine) {
    load_backends();
    const auto error = [](const Args & args) {
        common_params params;
        return error_of([&] { apply_llama_args(args, params); });
    };
    EXPECT_NE(error({"--cache-type-k", "q9"}).find("--cache-type-k q9: "), std::string::npos);
    EXPECT_EQ(error({"--cache-type-k", "q9"}).find('\n'), std::string::npos);
    EXPECT_NE(error({"--main-gpu", "x"}).find("--main-gpu x: "), std::string::npos);
    EXPECT_NE(error({"-ot", "a=Nowhere"}).find("there is no 'Nowhere' (there is: "), std::string::npos);
    EXPECT_EQ(error({"-ot", "a"}), "--override-tensor 'a': write PATTERN=DEVICE");
}

MemoryUse memory_with(const Args & args, bool serves = false) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.llama_args = args;
    options.serves = serves;
    return estimate_memory(options);
}

TEST(LlamaArgs, MemoryCountsTheTypeOfTheCache) {
    const MemoryUse f16 = memory_with({});
    const MemoryUse q8_0 = memory_with({"-ctk", "q8_0", "-ctv", "q8_0", "-fa", "on"});
    EXPECT_EQ(q8_0.host().context_bytes, f16.host().context_bytes * 34 / 64) << "32 values in 34 bytes, not 64";
    EXPECT_EQ(q8_0.host().model_bytes, f16.host().model_bytes);
    const MemoryUse keys = memory_with({"-ctk", "f32"});
    EXPECT_EQ(keys.host().context_bytes, f16.host().context_bytes * 3 / 2) << "half of the cache doubled";
}

TEST(LlamaArgs, MemoryCountsADraftModelAndAdapters) {
    const MemoryUse alone = memory_with({}, true);
    const MemoryUse with_draft = memory_with({"-md", TINY_MOE}, true);
    EXPECT_EQ(with_draft.host().model_bytes, 2 * alone.host().model_bytes);
    EXPECT_EQ(with_draft.host().context_bytes, 2 * alone.host().context_bytes);
    EXPECT_NE(error_of([] {
                  (void)memory_with({"--lora", "/nowhere.gguf"});
              }).find("/nowhere.gguf: "),
              std::string::npos);
    // Any file: its size is what counts.
    const MemoryUse adapted = memory_with({"--lora", EVAL_TEXT});
    EXPECT_EQ(adapted.host().model_bytes, memory_with({}).host().model_bytes + fs::file_size(EVAL_TEXT));
    EXPECT_NE(error_of([] { (void)memory_with({"--mmproj", TINY_MOE}, true); }), "") << "a model is no projector";
}

TEST(LlamaArgs, SamplersOfLlamaCppDecideTheText) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.llama_args = {"--grammar", "root ::= \"yes\" | \"no\""};
    Model model(options);
    const std::string text = model.generate("Is the sky blue?", 20, {}).text;
    EXPECT_TRUE(text == "yes" || text == "no") << text;
    options.llama_args = {"--grammar", "root ::= nowhere"};
    EXPECT_THROW((void)Model(options).generate("a", 1, {}), Error);
}

TEST(LlamaArgs, AnAdapterThatIsNoneIsNamed) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.llama_args = {"--lora", TINY_MOE};
    EXPECT_NE(error_of([&] { const Model model(options); }).find(TINY_MOE), std::string::npos);
}

}  // namespace
}  // namespace shimmy::engine
