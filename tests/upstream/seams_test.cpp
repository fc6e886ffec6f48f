// What shimmy uses of llama.cpp without llama.cpp having promised it: docs/UPSTREAM.md lists every such seam. Each test
// says in a sentence what moved. They talk to llama.cpp alone, so that a failure here is never shimmy's.
#include "base/files.h"
#include "base/process/subprocess.h"
#include "engine/llama/llama_internal.h"
#include "temp_dir.h"

#include "ggml-backend-impl.h"
#include "ggml-cpp.h"
#include "gguf.h"
#include "jinja/parser.h"
#include "jinja/runtime.h"
#include "llama-cpp.h"
#include "llama-ext.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <regex>
#include <set>

namespace shimmy {
namespace {

const std::string TINY_MOE = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/tiny-moe-f16.gguf";
// tiny-moe: four layers, the first without experts.
constexpr int FIRST_MOE_LAYER = 1;
constexpr int N_LAYERS = 4;
constexpr int N_EXPERTS = 16;  // a layer
constexpr int N_USED = 4;      // a token

void silence(ggml_log_level, const char *, void *) {}

struct Loaded {
    llama_model_ptr model;
    llama_context_ptr context;
};

Loaded load(bool no_alloc, ggml_backend_sched_eval_callback on_node = nullptr, void * user_data = nullptr) {
    llama_log_set(silence, nullptr);
    static std::array<ggml_backend_dev_t, 1> cpu_only{nullptr};
    llama_model_params model_params = llama_model_default_params();
    model_params.devices = cpu_only.data();
    model_params.use_extra_bufts = false;  // repacked weights are counted elsewhere
    model_params.no_alloc = no_alloc;
    model_params.load_mode = no_alloc ? LLAMA_LOAD_MODE_NONE : LLAMA_LOAD_MODE_MMAP;
    Loaded loaded;
    loaded.model.reset(llama_model_load_from_file(TINY_MOE.c_str(), model_params));
    llama_context_params context_params = llama_context_default_params();
    context_params.n_ctx = 256;
    context_params.cb_eval = on_node;
    context_params.cb_eval_user_data = user_data;
    loaded.context.reset(llama_init_from_model(loaded.model.get(), context_params));
    return loaded;
}

void decode(llama_context * context, std::vector<llama_token> tokens) {
    ASSERT_EQ(llama_decode(context, llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()))), 0);
}

struct Bytes {
    size_t model = 0, context = 0, compute = 0;
};

Bytes breakdown_of(const llama_context * context) {
    Bytes sum;
    for (const auto & [buffer_type, bytes] : llama_get_memory_breakdown(context)) {
        sum.model += bytes.model;
        sum.context += bytes.context;
        sum.compute += bytes.compute;
    }
    return sum;
}

TEST(Upstream, MemoryBreakdownCountsWeightsCacheAndComputeBuffers) {
    const Loaded loaded = load(/*no_alloc=*/false);
    const Bytes bytes = breakdown_of(loaded.context.get());
    EXPECT_GE(bytes.model, llama_model_size(loaded.model.get()))
        << "llama_get_memory_breakdown() leaves out weights: every figure of memory is too small";
    EXPECT_GT(bytes.context, 0U) << "llama_get_memory_breakdown() leaves out the KV cache";
    EXPECT_GT(bytes.compute, 0U) << "llama_get_memory_breakdown() leaves out the compute buffers";
}

TEST(Upstream, NoAllocLoadStatesTheMemoryOfARealLoad) {
    const Bytes predicted = breakdown_of(load(/*no_alloc=*/true).context.get());
    const Bytes real = breakdown_of(load(/*no_alloc=*/false).context.get());
    EXPECT_EQ(predicted.context, real.context) << "a no_alloc load lays out another KV cache: fit and plan are wrong";
    EXPECT_EQ(predicted.compute, real.compute) << "a no_alloc load plans another graph: fit and plan are wrong";
    EXPECT_NEAR(static_cast<double>(predicted.model), static_cast<double>(real.model), 65536.0)
        << "a no_alloc load counts other weights (a mapping is rounded to pages): fit and plan are wrong";
}

TEST(Upstream, TensorMapHoldsEveryTensorOfTheFile) {
    const gguf_context_ptr file(gguf_init_from_file(TINY_MOE.c_str(), {/*no_alloc=*/true, /*ctx=*/nullptr}));
    const Loaded loaded = load(/*no_alloc=*/true);
    std::set<std::string> names;
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(loaded.model.get()))
        names.insert(name);
    for (int64_t i = 0; i < gguf_get_n_tensors(file.get()); ++i) {
        EXPECT_TRUE(names.count(gguf_get_tensor_name(file.get(), i)))
            << "llama_internal_get_tensor_map() lacks " << gguf_get_tensor_name(file.get(), i)
            << ": placements and tensor plans are incomplete";
    }
}

TEST(Upstream, ExpertTensorsAreNamedByLayerAndMatrix) {
    const Loaded loaded = load(/*no_alloc=*/true);
    const std::regex name_of_experts(R"(blk\.[0-9]+\.ffn_(gate|up|down)_exps\.weight)");
    int n = 0;
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(loaded.model.get())) {
        if (!std::regex_match(name, name_of_experts)) continue;
        EXPECT_EQ(tensor->ne[2], N_EXPERTS) << name << ": the third dimension is not the experts";
        ++n;
    }
    EXPECT_EQ(n, 3 * (N_LAYERS - FIRST_MOE_LAYER))
        << "expert tensors have other names: --cpu-moe and the counters would not find them";
}

// name of a node -> its shape
using Nodes = std::map<std::string, std::vector<int64_t>>;

bool record_node(ggml_tensor * tensor, bool ask, void * nodes) {
    if (!ask) (*static_cast<Nodes *>(nodes))[tensor->name] = {tensor->ne[0], tensor->ne[1]};
    return true;
}

TEST(Upstream, ChosenExpertsAreANodeNamedFfnMoeTopk) {
    Nodes nodes;
    const Loaded loaded = load(/*no_alloc=*/false, record_node, &nodes);
    decode(loaded.context.get(), {1, 2, 3});
    for (int layer = FIRST_MOE_LAYER; layer < N_LAYERS; ++layer) {
        const auto found = nodes.find("ffn_moe_topk-" + std::to_string(layer));
        ASSERT_NE(found, nodes.end()) << "the router's choice of layer " << layer
                                      << " is not called ffn_moe_topk-N any more: routing cannot be recorded";
        EXPECT_EQ(found->second[0], N_USED) << "its rows are not the experts of one token";
    }
}

// What the quantizer logs, and the types that it wrote.
struct Quantized {
    std::vector<std::pair<unsigned, unsigned>> progress;  // (number, of how many) of the lines "[  12/ 291] …"
    std::map<std::string, ggml_type> types;
};

Quantized quantize(llama_ftype type) {
    const TempDir dir;
    const std::string output = (dir / "q.gguf").string();
    Quantized result;
    llama_log_set(
        [](ggml_log_level, const char * text, void * out) {
            unsigned number = 0;
            unsigned total = 0;
            if (std::sscanf(text, "[%u/%u]", &number, &total) == 2)
                static_cast<Quantized *>(out)->progress.emplace_back(number, total);
        },
        &result);
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = type;
    EXPECT_EQ(llama_model_quantize(TINY_MOE.c_str(), output.c_str(), &params), 0U);
    llama_log_set(silence, nullptr);
    const gguf_context_ptr file(gguf_init_from_file(output.c_str(), {/*no_alloc=*/true, /*ctx=*/nullptr}));
    for (int64_t i = 0; i < gguf_get_n_tensors(file.get()); ++i)
        result.types[gguf_get_tensor_name(file.get(), i)] = gguf_get_tensor_type(file.get(), i);
    return result;
}

TEST(Upstream, QuantizerLogsOneNumberedLineForEachTensor) {
    const Quantized quantized = quantize(LLAMA_FTYPE_MOSTLY_Q8_0);
    ASSERT_EQ(quantized.progress.size(), quantized.types.size())
        << "the quantizer logs other lines than '[  12/ 291]' before each tensor: no progress, and Ctrl-C does nothing";
    for (unsigned i = 0; i < quantized.progress.size(); ++i)
        EXPECT_EQ(quantized.progress[i], std::make_pair(i + 1, static_cast<unsigned>(quantized.types.size())));
}

TEST(Upstream, TypesOfAQuantizationAreKnownBeforeItIsMade) {
    const Loaded loaded = load(/*no_alloc=*/true);
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = LLAMA_FTYPE_MOSTLY_Q4_K_M;
    const std::unique_ptr<quantize_state_impl, decltype(&llama_quant_free)> state(
        llama_quant_init(loaded.model.get(), &params), &llama_quant_free);
    std::vector<ggml_tensor *> tensors;
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(loaded.model.get())) {
        if (llama_quant_tensor_allows_quantization(state.get(), tensor)) tensors.push_back(tensor);
    }
    std::sort(tensors.begin(), tensors.end(),
              [](const ggml_tensor * a, const ggml_tensor * b) { return std::string(a->name) < b->name; });
    std::vector<ggml_type> types(tensors.size());
    llama_quant_compute_types(state.get(), params.ftype, tensors.data(), types.data(), tensors.size());
    const Quantized made = quantize(LLAMA_FTYPE_MOSTLY_Q4_K_M);
    ASSERT_FALSE(tensors.empty());
    for (size_t i = 0; i < tensors.size(); ++i) {
        EXPECT_EQ(types[i], made.types.at(tensors[i]->name))
            << tensors[i]->name << ": llama_quant_compute_types() and the quantizer disagree: sizes in plans are wrong";
    }
}

TEST(Upstream, ImatrixPrintsHowManyChunksAndACommaAfterEach) {
    const TempDir dir;
    const ProcessResult result = run_process(
        {fs::path(SHIMMY_PROGRAM).parent_path() / "llama-imatrix", "--model", TINY_MOE, "--file",
         std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/eval.txt", "--output", (dir / "i.gguf").string(),
         "--output-format", "gguf", "--ctx-size", "128", "--chunks", "6", "--device", "none"},
        std::chrono::minutes(2));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("computing over 6 chunks"), std::string::npos)
        << "llama-imatrix does not say 'computing over N chunks' any more: no progress of shimmy imatrix";
    // The thread of its log may not get to write the last ones.
    EXPECT_GE(std::count(result.out.begin(), result.out.end(), ','), 3)
        << "llama-imatrix prints no comma after a chunk any more: no progress of shimmy imatrix";
}

TEST(Upstream, DeviceInterfaceIsTheOneThatTheModelledCardFillsIn) {
    EXPECT_EQ(GGML_BACKEND_API_VERSION, 2)
        << "ggml's backend interface changed: look at every member that engine/device/modelled_device.cpp and moe/src fill in";
}

std::string rendered(const std::string & source, jinja::context context) {
    const jinja::lexer_result tokens = jinja::lexer().tokenize(source);
    const jinja::program program = jinja::parse_from_tokens(tokens);
    context.src = std::make_shared<std::string>(tokens.source);
    return jinja::runtime::gather_string_parts(jinja::runtime(context).execute(program))->as_string().str();
}

// An object that refuses to lack something, as those of the templates do.
struct Refusing : jinja::value_object_t {
    using jinja::value_object_t::at;
    jinja::value & at(const jinja::value & key, jinja::value & /*otherwise*/) override {
        throw std::runtime_error("lacks " + key->as_string().str());
    }
};

TEST(Upstream, JinjaRendersWithoutEmptyLinesForBlocks) {
    jinja::context context;
    context.set_val("n", jinja::mk_val<jinja::value_int>(3));
    context.set_val("call", jinja::mk_val<jinja::value_func>("call", [](const jinja::func_args & args) -> jinja::value {
                        return args.ctx.get_val(args.get_pos(0)->as_string().str());
                    }));
    EXPECT_EQ(rendered("a\n  {% if n %}\nb {{ n }}\n{% endif %}\n\nc\n", context), "a\nb 3\n\nc")
        << "llama.cpp's Jinja treats line breaks otherwise: every document of a campaign looks different";
    EXPECT_EQ(rendered("{% set m = 4 %}{{ call(\"m\") }}", context), "4")
        << "a function does not see the names at the place of its call any more: include() in templates";
    EXPECT_EQ(rendered("{{ gone }}", context), "")
        << "an unknown name is no longer empty: report/template looks for them";
}

TEST(Upstream, JinjaTellsTheLineOfAnErrorAndItsReason) {
    jinja::context context;
    context.set_val("object", std::make_shared<Refusing>());
    try {
        rendered("a\n{{ object.part }}\n", context);
        FAIL() << "the object's own at() is not asked any more: a misspelt member would be empty in documents";
    } catch (const std::exception & error) {
        const std::string said = error.what();
        EXPECT_NE(said.find(" at line 2, "), std::string::npos) << said;
        EXPECT_TRUE(said.ends_with("\nError: lacks part")) << "the line of a template's error is not told: " << said;
    }
}

TEST(Upstream, JinjaShowsItsTreeToAVisitor) {
    const jinja::program program =
        jinja::parse_from_tokens(jinja::lexer().tokenize("{% for a in list %}{{ a.b | upper }}{% endfor %}"));
    jinja::context context;
    std::vector<std::string> found;
    context.visitor = [&](bool, const jinja::statement * node, const std::vector<jinja::visitor_pair> & children) {
        if (const auto * name = dynamic_cast<const jinja::identifier *>(node)) found.push_back(name->val);
        for (const auto & [label, statements] : children) {
            found.push_back(label);
            for (const jinja::statement * statement : statements)
                statement->visit(context);
        }
    };
    for (const jinja::statement_ptr & statement : program.body)
        statement->visit(context);
    EXPECT_EQ(found, (std::vector<std::string>{"loopvar", "a", "iterable", "list", "body", "operand", "object", "a",
                                               "property", "b", "filter", "upper", "default_block"}))
        << "the parts of a template have other names: report/template would miss or invent unknown names";
}

}  // namespace
}  // namespace shimmy
