// Every architecture with experts that llama.cpp knows: its expert FFN is one job of the plugin, no product with
// experts is left to ggml, and the logits are those of ggml's CPU backend.
//
// usage: ggml-moe-archs-test FOLDER   models of one architecture each, as llama.cpp's test-llama-archs saves them
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "environment.h"
#include "ggml-cpp.h"
#include "gguf.h"
#include "graph/graph.h"
#include "graph/match.h"
#include "llama-cpp.h"

extern "C" ggml_backend_reg_t ggml_backend_init(void);

namespace {

// blk.1.ffn_down_exps.weight is of blk.1.exps: an expert FFN, of which a layer may have two (GroveMoE's chexps).
std::string ffn_of(const std::string & name) {
    static const std::regex weight(R"((blk\.\d+)\.ffn_(?:gate|up|gate_up|down)_((?:ch)?exps)\.weight)");
    std::smatch m;
    return std::regex_match(name, m, weight) ? m[1].str() + "." + m[2].str() : "";
}

// llama.cpp's test gives this model experts, which its graph does not read.
const std::set<std::string> UNREAD = {"refact"};

// Weights of experts by the job that reads them, in the order of the graphs that the plugin was given.
std::vector<std::set<std::string>> jobs;

void add_job(std::initializer_list<const moe::Product *> products) {
    std::set<std::string> names;
    for (const moe::Product * p : products) {
        if (p->mm != nullptr && !ffn_of(p->mm->src[0]->name).empty()) names.insert(p->mm->src[0]->name);
    }
    if (!names.empty()) jobs.push_back(names);
}

// As moe::graph_compute walks over it.
void note_jobs(ggml_cgraph * graph) {
    const moe::Nodes n(graph);
    for (int i = n.next(-1); i < n.count(); i = n.next(i)) {
        moe::Product p;
        moe::Ffn f;
        if (moe::match_ffn(n, i, f)) {
            add_job({&f.gate, &f.up, &f.down});
            i = f.last;
        } else if (moe::match_product(n, i, p)) {
            add_job({&p});
            i = p.last;
        }
    }
}

}  // namespace

bool real_graph_compute(moe::Context & c,
                        ggml_cgraph * graph) __asm__("__real__ZN3moe13graph_computeERNS_7ContextEP11ggml_cgraph");
bool wrapped_graph_compute(moe::Context & c,
                           ggml_cgraph * graph) __asm__("__wrap__ZN3moe13graph_computeERNS_7ContextEP11ggml_cgraph");
bool wrapped_graph_compute(moe::Context & c, ggml_cgraph * graph) {
    note_jobs(graph);
    return real_graph_compute(c, graph);
}

namespace {

// Weights of experts in the file, by FFN.
std::map<std::string, std::set<std::string>> experts_of(const std::string & path) {
    std::map<std::string, std::set<std::string>> ffns;
    const gguf_context_ptr file(gguf_init_from_file(path.c_str(), {true, nullptr}));
    if (file == nullptr) return ffns;
    for (int64_t i = 0; i < gguf_get_n_tensors(file.get()); ++i) {
        const std::string name = gguf_get_tensor_name(file.get(), i);
        if (const std::string ffn = ffn_of(name); !ffn.empty()) ffns[ffn].insert(name);
    }
    return ffns;
}

std::string arch_of(const std::string & path) {
    std::string name = std::filesystem::path(path).stem().string();
    return name.substr(0, name.rfind('-'));
}

struct Loaded {
    llama_model_ptr model;
    llama_context_ptr context;
};

Loaded load(const std::string & path) {
    llama_model_params model_params = llama_model_default_params();
    model_params.n_gpu_layers = 0;
    llama_context_params context_params = llama_context_default_params();
    context_params.n_ctx = 128;
    context_params.embeddings = arch_of(path) == "nomic-bert-moe";
    context_params.n_threads = context_params.n_threads_batch = 2;
    Loaded run;
    run.model.reset(llama_model_load_from_file(path.c_str(), model_params));
    if (run.model != nullptr) run.context.reset(llama_init_from_model(run.model.get(), context_params));
    return run;
}

// What the model makes of these tokens, which follow what the context holds: logits of the last one, or their
// embedding.
std::vector<float> decode(const Loaded & run, std::vector<llama_token> tokens) {
    llama_context * context = run.context.get();
    const llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()));
    if (llama_decode(context, batch) != 0) return {};
    const bool embeds = llama_pooling_type(context) != LLAMA_POOLING_TYPE_NONE;
    const float * out = embeds ? llama_get_embeddings_seq(context, 0) : llama_get_logits_ith(context, -1);
    const int n =
        embeds ? llama_model_n_embd(run.model.get()) : llama_vocab_n_tokens(llama_model_get_vocab(run.model.get()));
    return out == nullptr ? std::vector<float>() : std::vector<float>(out, out + n);
}

const std::vector<llama_token> PROMPT = {1, 17, 2, 93, 44, 5, 61, 120, 8, 77, 30, 3, 14, 99, 6, 52, 81, 23, 110, 9};

double nmse(const std::vector<float> & a, const std::vector<float> & b) {
    double error = 0, power = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        error += (a[i] - b[i]) * (a[i] - b[i]);
        power += b[i] * b[i];
    }
    return error / power;
}

const std::vector<std::vector<llama_token>> BATCHES = {PROMPT, {7}};

// What ggml's CPU backend computes, from before the plugin was there.
std::map<std::string, std::vector<std::vector<float>>> expected;

std::vector<std::vector<float>> decode_all(const Loaded & run) {
    std::vector<std::vector<float>> logits;
    for (const std::vector<llama_token> & batch : BATCHES) {
        logits.push_back(decode(run, batch));
    }
    return logits;
}

// The jobs of an FFN, to be read in a failure.
std::string jobs_of(const std::string & ffn) {
    std::string seen;
    for (const std::set<std::string> & job : jobs) {
        if (ffn_of(*job.begin()) != ffn) continue;
        seen += " (";
        for (const std::string & name : job) {
            seen += " " + name;
        }
        seen += " )";
    }
    return seen.empty() ? " none" : seen;
}

// ggml looks GELU up in a table of half precision.
double bound_of(const std::string & arch) {
    return arch == "gemma4" ? 5e-3 : 1e-4;
}

class Arch : public testing::Test {
public:
    explicit Arch(std::string path) : path_(std::move(path)) {}
    void TestBody() override {
        const Loaded run = load(path_);
        ASSERT_NE(run.context, nullptr) << path_;
        const auto ffns = experts_of(path_);
        for (size_t i = 0; i < BATCHES.size(); ++i) {
            jobs.clear();
            const std::vector<float> out = decode(run, BATCHES[i]);
            ASSERT_FALSE(out.empty());
            EXPECT_LT(nmse(out, expected[path_][i]), bound_of(arch_of(path_)));
            for (const auto & [ffn, weights] : ffns) {
                EXPECT_EQ(std::count(jobs.begin(), jobs.end(), weights), 1)
                    << ffn << ", " << BATCHES[i].size() << " tokens; jobs:" << jobs_of(ffn);
            }
        }
    }

private:
    std::string path_;
};

}  // namespace

int main(int argc, char ** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) {
        std::fprintf(stderr, "usage: ggml-moe-archs-test FOLDER\n");
        return 2;
    }
    llama_log_set(
        [](ggml_log_level level, const char * text, void *) {
            if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
        },
        nullptr);
    for (const auto & entry : std::filesystem::directory_iterator(argv[1])) {
        const std::string path = entry.path().string();
        if (entry.path().extension() != ".gguf") continue;
        if (experts_of(path).empty() || UNREAD.count(arch_of(path)) != 0) continue;
        if (const Loaded run = load(path); run.context != nullptr) expected[path] = decode_all(run);
        testing::RegisterTest("Arch", arch_of(path).c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [path]() -> Arch * { return new Arch(path); });
    }
    ggml_backend_register(ggml_backend_init());
    return RUN_ALL_TESTS();
}
