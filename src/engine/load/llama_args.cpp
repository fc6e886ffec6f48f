#include "engine/load/llama_args.h"

#include "base/error.h"
#include "engine/load/llama_params.h"

#include "arg.h"
#include "ggml-backend.h"

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string_view>

namespace shimmy::engine {

namespace {

// What shimmy sets itself, by one of llama.cpp's names, and what to write instead.
const std::map<std::string_view, std::string_view> SHIMMYS_OWN{
    {"--model", "--model"},
    {"--model-url", "--model hf:USER/NAME"},
    {"--hf-repo", "--model hf:USER/NAME"},
    {"--hf-file", "--model hf:USER/NAME:QUANT"},
    {"--hf-token", "the environment variable HF_TOKEN"},
    {"--docker-repo", "--model hf:USER/NAME"},
    {"--threads", "--threads"},
    {"--ctx-size", "--ctx"},
    {"--batch-size", "--batch"},
    {"--ubatch-size", "--ubatch"},
    {"--parallel", "--parallel"},
    {"--device", "--device"},
    {"--rpc", "--rpc"},
    {"--cpu-moe", "--cpu-moe"},
    {"--n-cpu-moe", "--n-cpu-moe"},
    {"--gpu-layers", "--placement"},
    {"--fit", "--placement"},
    {"--fit-target", "--vram"},
    {"--fit-ctx", "--ctx"},
    {"--warmup", "--no-warmup"},
    {"--verbose", "--verbose"},
    {"--verbosity", "--verbose"},
    {"--host", "--bind"},
    {"--port", "--bind"},
    {"--api-key", "--api-key"},
    {"--api-key-file", "--api-key-file"},
    {"--cors-origins", "--allow-origin"},
    {"--embedding", "--embeddings"},
    {"--pooling", "--pooling"},
    {"--chat-template-file", "--chat-template-file"},
    {"--models-max", "--max-loaded"},
    {"--models-dir", "--model-dirs"},
    {"--mmproj-url", "--mmproj"},
    {"--spec-draft-hf", "--model-draft hf:USER/NAME"},
};

// The same for one answer, where sampling is an option too. A server's are the defaults of its requests.
const std::map<std::string_view, std::string_view> SHIMMYS_OWN_FOR_TEXT{
    {"--predict", "--max-tokens"},
    {"--seed", "--seed"},
    {"--temp", "--temperature"},
    {"--top-k", "--top-k"},
    {"--top-p", "--top-p"},
    {"--min-p", "--min-p"},
    {"--repeat-penalty", "--repeat-penalty"},
};

// All that reaches one answer beside those: parameters of the model, of the context and of the samplers.
const std::set<std::string_view> FOR_TEXT{"--threads-batch",
                                          "--swa-full",
                                          "--flash-attn",
                                          "--samplers",
                                          "--sampler-seq",
                                          "--ignore-eos",
                                          "--top-n-sigma",
                                          "--xtc-probability",
                                          "--xtc-threshold",
                                          "--typical",
                                          "--repeat-last-n",
                                          "--presence-penalty",
                                          "--frequency-penalty",
                                          "--dry-multiplier",
                                          "--dry-base",
                                          "--dry-allowed-length",
                                          "--dry-penalty-last-n",
                                          "--dry-sequence-breaker",
                                          "--adaptive-target",
                                          "--adaptive-decay",
                                          "--dynatemp-range",
                                          "--dynatemp-exp",
                                          "--mirostat",
                                          "--mirostat-lr",
                                          "--mirostat-ent",
                                          "--logit-bias",
                                          "--grammar",
                                          "--grammar-file",
                                          "--json-schema",
                                          "--json-schema-file",
                                          "--rope-scaling",
                                          "--rope-scale",
                                          "--rope-freq-base",
                                          "--rope-freq-scale",
                                          "--yarn-orig-ctx",
                                          "--yarn-ext-factor",
                                          "--yarn-attn-factor",
                                          "--yarn-beta-slow",
                                          "--yarn-beta-fast",
                                          "--kv-offload",
                                          "--repack",
                                          "--no-host",
                                          "--cache-type-k",
                                          "--cache-type-v",
                                          "--load-mode",
                                          "--lazy-mode",
                                          "--override-tensor",
                                          "--n-cpu-ffn",
                                          "--split-mode",
                                          "--tensor-split",
                                          "--main-gpu",
                                          "--check-tensors",
                                          "--override-kv",
                                          "--op-offload",
                                          "--lora",
                                          "--lora-scaled",
                                          "--chat-template-kwargs",
                                          "--reasoning-budget",
                                          "--reasoning-budget-message",
                                          "--mmproj",
                                          "--mmproj-offload",
                                          "--image-min-tokens",
                                          "--image-max-tokens",
                                          "--model-draft",
                                          "--spec-type",
                                          "--spec-default",
                                          "--spec-draft-n-max",
                                          "--spec-draft-n-min",
                                          "--spec-draft-p-min",
                                          "--spec-draft-threads",
                                          "--spec-draft-threads-batch",
                                          "--spec-draft-type-k",
                                          "--spec-draft-type-v",
                                          "--spec-draft-override-tensor",
                                          "--spec-draft-cpu-moe",
                                          "--spec-draft-n-cpu-moe",
                                          "--spec-draft-device",
                                          "--spec-draft-ngl",
                                          "--spec-ngram-mod-n-min",
                                          "--spec-ngram-mod-n-max",
                                          "--spec-ngram-mod-n-match",
                                          "--spec-ngram-simple-size-n",
                                          "--spec-ngram-simple-size-m",
                                          "--spec-ngram-simple-min-hits",
                                          "--spec-ngram-map-k-size-n",
                                          "--spec-ngram-map-k-size-m",
                                          "--spec-ngram-map-k-min-hits",
                                          "--spec-ngram-map-k4v-size-n",
                                          "--spec-ngram-map-k4v-size-m",
                                          "--spec-ngram-map-k4v-min-hits"};

// Of llama.cpp's server: its HTTP side, its page, its router and its log, which shimmy does not use; and what prints
// something and ends.
const std::set<std::string_view> NOT_FOR_SERVER{"--help",
                                                "--version",
                                                "--cache-list",
                                                "--completion-bash",
                                                "--list-devices",
                                                "--reuse-port",
                                                "--path",
                                                "--cors-methods",
                                                "--cors-headers",
                                                "--cors-credentials",
                                                "--api-prefix",
                                                "--ui-config",
                                                "--ui-config-file",
                                                "--ui-mcp-proxy",
                                                "--tools",
                                                "--tools-runtime",
                                                "--mcp-servers-config",
                                                "--mcp-servers-json",
                                                "--agent",
                                                "--ui",
                                                "--rerank",
                                                "--ssl-key-file",
                                                "--ssl-cert-file",
                                                "--timeout",
                                                "--sse-ping-interval",
                                                "--threads-http",
                                                "--metrics",
                                                "--props",
                                                "--slots",
                                                "--media-path",
                                                "--models-preset",
                                                "--models-autoload",
                                                "--alias",
                                                "--tags",
                                                "--sleep-idle-seconds",
                                                "--log-disable",
                                                "--log-file",
                                                "--log-jsonl",
                                                "--log-prompts-dir",
                                                "--log-colors",
                                                "--log-prefix",
                                                "--log-timestamps",
                                                "--offline",
                                                "--perf",
                                                "--escape",
                                                "--embd-gemma-default",
                                                "--fim-qwen-1.5b-default",
                                                "--fim-qwen-3b-default",
                                                "--fim-qwen-7b-default",
                                                "--fim-qwen-7b-spec",
                                                "--fim-qwen-14b-spec",
                                                "--fim-qwen-30b-default",
                                                "--gpt-oss-20b-default",
                                                "--gpt-oss-120b-default",
                                                "--vision-gemma-4b-default",
                                                "--vision-gemma-12b-default",
                                                "--lora-init-without-apply",
                                                "--mmproj-auto"};

// llama.cpp's own spelling: '_' is '-' in long names.
std::string normalized(std::string flag) {
    if (flag.starts_with("--")) std::replace(flag.begin(), flag.end(), '_', '-');
    return flag;
}

class Table {
public:
    Table() {
        static common_params unused;  // the table refers to it
        options_ = common_params_parser_init(unused, LLAMA_EXAMPLE_SERVER, nullptr).options;
        for (const common_arg & option : options_) {
            for (const std::string & name : option.get_args())
                by_name_.emplace(name, &option);
        }
    }

    const common_arg * find(const std::string & flag) const {
        const auto found = by_name_.find(normalized(flag));
        return found == by_name_.end() ? nullptr : found->second;
    }

private:
    std::vector<common_arg> options_;
    std::map<std::string, const common_arg *> by_name_;
};

const Table & table() {
    static const Table the_table;
    return the_table;
}

bool is_one_of(const common_arg & option, const std::set<std::string_view> & names) {
    const std::vector<std::string> all = option.get_args();
    return std::any_of(all.begin(), all.end(), [&](const std::string & name) { return names.contains(name); });
}

std::optional<std::string_view> instead(const common_arg & option,
                                        const std::map<std::string_view, std::string_view> & own) {
    for (const std::string & name : option.get_args()) {
        if (const auto found = own.find(name); found != own.end()) return found->second;
    }
    return std::nullopt;
}

std::optional<std::string_view> shimmys_own(const common_arg & option, LlamaUse use) {
    if (const auto found = instead(option, SHIMMYS_OWN)) return found;
    return use == LlamaUse::text ? instead(option, SHIMMYS_OWN_FOR_TEXT) : std::nullopt;
}

bool has_effect(const common_arg & option, LlamaUse use) {
    return use == LlamaUse::text ? is_one_of(option, FOR_TEXT) : !is_one_of(option, NOT_FOR_SERVER);
}

int n_values(const common_arg & option) {
    return (option.value_hint != nullptr ? 1 : 0) + (option.value_hint_2 != nullptr ? 1 : 0);
}

// One option with its values.
struct Given {
    std::string flag;
    const common_arg * option = nullptr;
    std::vector<std::string> values;
};

std::vector<Given> read(const std::vector<std::string> & args) {
    std::vector<Given> all;
    for (size_t i = 0; i < args.size(); ++i) {
        std::string flag = args[i];
        std::optional<std::string> joined;  // "--flag=value", which shimmy's own options take too
        const size_t equals = flag.find('=');
        if (flag.starts_with("--") && equals != std::string::npos && table().find(flag.substr(0, equals)) != nullptr) {
            joined = flag.substr(equals + 1);
            flag.resize(equals);
        }
        const common_arg * option = table().find(flag);
        if (option == nullptr)
            fail_usage("{}: llama.cpp has no such option (after -- stand options of llama-server)", flag);
        Given given{flag, option, {}};
        if (joined) given.values.push_back(*joined);
        while (static_cast<int>(given.values.size()) < n_values(*option)) {
            if (++i == args.size()) fail_usage("{}: a value is missing ({})", flag, option->value_hint);
            given.values.push_back(args[i]);
        }
        if (static_cast<int>(given.values.size()) > n_values(*option)) fail_usage("{} takes no value", flag);
        all.push_back(std::move(given));
    }
    return all;
}

// llama.cpp's own way loads every module it finds, and prints to stdout.
void add_tensor_overrides(const std::string & value, std::vector<llama_model_tensor_buft_override> & overrides) {
    static std::list<std::string> patterns;  // the parameters point to them
    std::map<std::string, ggml_backend_buffer_type_t> types;
    std::string names;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        const ggml_backend_buffer_type_t type = ggml_backend_dev_buffer_type(ggml_backend_dev_get(i));
        if (type == nullptr || !types.emplace(ggml_backend_buft_name(type), type).second) continue;
        names += (names.empty() ? "" : ", ") + std::string(ggml_backend_buft_name(type));
    }
    for (const std::string & one : string_split<std::string>(value, ',')) {
        const size_t equals = one.rfind('=');
        if (equals == std::string::npos) fail_usage("--override-tensor '{}': write PATTERN=DEVICE", one);
        const auto found = types.find(one.substr(equals + 1));
        if (found == types.end())
            fail_usage("--override-tensor '{}': there is no '{}' (there is: {})", one, one.substr(equals + 1), names);
        patterns.push_back(one.substr(0, equals));
        overrides.push_back({patterns.back().c_str(), found->second});
    }
}

void apply(const Given & given, common_params & params) {
    const common_arg & option = *given.option;
    if (is_one_of(option, {"--override-tensor"}))
        return add_tensor_overrides(given.values[0], params.tensor_buft_overrides);
    if (option.handler_void != nullptr) return option.handler_void(params);
    if (option.handler_bool != nullptr) {
        const std::string flag = normalized(given.flag);
        const bool negated = std::any_of(option.args_neg.begin(), option.args_neg.end(),
                                         [&](const char * name) { return flag == name; });
        return option.handler_bool(params, !negated);
    }
    if (option.handler_int != nullptr) return option.handler_int(params, std::stoi(given.values[0]));
    if (option.handler_string != nullptr) return option.handler_string(params, given.values[0]);
    if (option.handler_str_str != nullptr) option.handler_str_str(params, given.values[0], given.values[1]);
}

// "invalid value" and the like, in one line.
std::string first_line(const std::string & text) {
    return text.substr(0, text.find('\n'));
}

}  // namespace

void check_llama_args(const std::vector<std::string> & args, LlamaUse use) {
    for (const Given & given : read(args)) {
        if (const auto own = shimmys_own(*given.option, use))
            fail_usage("{}: shimmy sets this itself; use {} (before the --)", given.flag, *own);
        if (has_effect(*given.option, use)) continue;
        const bool elsewhere = use == LlamaUse::text && has_effect(*given.option, LlamaUse::server);
        fail_usage("{}: this option of llama.cpp changes nothing here{}", given.flag,
                   elsewhere ? " (shimmy serve takes it)" : "");
    }
}

std::string llama_option_hint(const std::string & flag, LlamaUse use) {
    const common_arg * option = table().find(flag.substr(0, flag.find('=')));
    if (option == nullptr) return "";
    if (const auto own = shimmys_own(*option, use)) return fmt::format("use {}", *own);
    return has_effect(*option, use) ? fmt::format("it is llama.cpp's own: put it behind --, as in -- {}", flag) : "";
}

void apply_llama_args(const std::vector<std::string> & args, common_params & params) {
    for (const Given & given : read(args)) {
        try {
            apply(given, params);
        } catch (const UsageError &) {
            throw;
        } catch (const std::exception & error) {
            fail_usage("{} {}: {}", given.flag, fmt::join(given.values, " "), first_line(error.what()));
        }
    }
    // As llama.cpp's own parser leaves them.
    if (!params.kv_overrides.empty()) {
        params.kv_overrides.emplace_back();
        params.kv_overrides.back().key[0] = 0;
    }
    auto & of_draft = params.speculative.draft.tensor_buft_overrides;
    if (!of_draft.empty()) of_draft.push_back({nullptr, nullptr});
    for (std::string & breaker : params.sampling.dry_sequence_breakers)
        string_process_escapes(breaker);
}

}  // namespace shimmy::engine
