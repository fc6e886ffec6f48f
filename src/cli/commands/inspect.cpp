// shimmy inspect: what a model file is, from its metadata alone.
#include "base/json.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "engine/run/prompt_format.h"
#include "gguf/model_info.h"
#include "gguf/problems.h"
#include "gguf/sampling.h"
#include "hub/download/model_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace shimmy::cli {

namespace {

constexpr size_t TEMPLATE_PREVIEW_LENGTH = 60;
constexpr size_t MAX_PROBLEM_CHARS = 400;

Json to_json(const gguf::ModelInfo & info) {
    Json types = Json::array();
    for (const gguf::TypeUse & use : info.types)
        types.push_back({{"type", use.type}, {"n_tensors", use.n_tensors}, {"bytes", use.bytes}});
    Json shards = Json::array();
    for (const auto & shard : info.shards)
        shards.push_back(shard.string());
    return {{"name", info.name},
            {"arch", info.arch},
            {"description", info.description},
            {"quantization", info.quantization},
            {"dominant_type", info.dominant_type},
            {"size_bytes", info.size_bytes},
            {"tensor_bytes", info.tensor_bytes},
            {"bits_per_weight", info.bits_per_weight},
            {"n_params", info.n_params},
            {"n_active_params", info.n_active_params},
            {"bytes_per_token", info.bytes_per_token},
            {"n_layers", info.n_layers},
            {"n_layers_dense_lead", info.n_layers_dense_lead},
            {"n_layers_nextn", info.n_layers_nextn},
            {"n_ctx_train", info.n_ctx_train},
            {"n_swa", info.n_swa},
            {"n_embd", info.n_embd},
            {"n_ff", info.n_ff},
            {"n_ff_exp", info.n_ff_exp},
            {"n_head", info.n_head},
            {"n_head_kv", info.n_head_kv},
            {"head_size", info.head_size},
            {"n_vocab", info.n_vocab},
            {"n_expert", info.n_expert},
            {"n_expert_used", info.n_expert_used},
            {"n_expert_shared", info.n_expert_shared},
            {"n_expert_tensors", info.n_expert_tensors},
            {"n_expert_bias_tensors", info.n_expert_bias_tensors},
            {"expert_bytes", info.expert_bytes},
            {"expert_bytes_per_layer", info.expert_bytes_per_layer},
            {"cpu_moe_applies", info.cpu_moe_applies()},
            {"n_tensors", info.n_tensors},
            {"tensor_types", types},
            {"tokenizer", info.tokenizer},
            {"chat_template", info.chat_template.empty() ? Json(nullptr) : Json(info.chat_template)},
            {"shards", shards}};
}

void print_row(const char * label, const std::string & value) {
    fmt::print("{:<18} {}\n", label, value);
}

std::string expert_text(const gguf::ModelInfo & info) {
    if (info.n_expert == 0)
        return info.n_expert_tensors > 0 ? "their number is not in the metadata" : "none (a dense model)";
    std::string text = fmt::format("{}, {} active per token", info.n_expert, info.n_expert_used);
    if (info.n_expert_shared > 0) text += fmt::format(", {} shared", info.n_expert_shared);
    return text;
}

std::string expert_tensor_text(const gguf::ModelInfo & info) {
    std::string text = fmt::format(
        "{} ({}, {:.0f}% of the weights)", info.n_expert_tensors, format_bytes(info.expert_bytes),
        100.0 * static_cast<double>(info.expert_bytes) / static_cast<double>(std::max<uint64_t>(1, info.tensor_bytes)));
    if (info.n_expert_bias_tensors > 0) text += fmt::format(" and {} expert biases", info.n_expert_bias_tensors);
    return text;
}

std::string per_layer_text(const gguf::ModelInfo & info) {
    std::vector<uint64_t> layers;
    std::copy_if(info.expert_bytes_per_layer.begin(), info.expert_bytes_per_layer.end(), std::back_inserter(layers),
                 [](uint64_t bytes) { return bytes > 0; });
    if (layers.empty()) return "-";
    const auto [least, most] = std::minmax_element(layers.begin(), layers.end());
    const std::string size =
        *least == *most ? format_bytes(*least) : fmt::format("{} to {}", format_bytes(*least), format_bytes(*most));
    return fmt::format("{} in {} of {} layers", size, layers.size(), info.n_layers);
}

std::string template_text(const gguf::ModelInfo & info) {
    if (info.chat_template.empty()) return "none";
    std::string start = info.chat_template.substr(0, TEMPLATE_PREVIEW_LENGTH);
    start = printable(start);
    return info.chat_template.size() > start.size() ? start + "…" : start;
}

std::string cpu_moe_text(const gguf::ModelInfo & info) {
    return info.cpu_moe_applies() ? fmt::format("applies: keeps {} out of VRAM", format_bytes(info.expert_bytes))
                                  : "does not apply: no expert tensors";
}

std::string vocabulary_text(const gguf::ModelInfo & info) {
    return fmt::format("{} tokens (tokenizer {})", info.n_vocab,
                       info.tokenizer.empty() ? "none" : printable(info.tokenizer));
}

void print_text(const gguf::ModelInfo & info, const std::string & sampling) {
    print_row("name", printable(info.name));
    if (!info.description.empty()) print_row("description", printable(info.description));
    print_row("architecture", printable(info.arch));
    if (info.n_tensors == 0) {
        print_row("parameters", "none: a vocabulary without weights");
        print_row("vocabulary", vocabulary_text(info));
        return;
    }
    print_row("parameters",
              fmt::format("{} ({} active per token)", format_count(info.n_params), format_count(info.n_active_params)));
    print_row("quantization", fmt::format("{} ({:.2f} bits per weight; most bytes are {})", info.quantization,
                                          info.bits_per_weight, info.dominant_type));
    print_row("size on disk", format_bytes(info.size_bytes));
    print_row("layers", info.n_layers_dense_lead > 0
                            ? fmt::format("{} (the first {} dense)", info.n_layers, info.n_layers_dense_lead)
                            : fmt::format("{}", info.n_layers));
    print_row("context length", fmt::format("{} tokens{}", info.n_ctx_train,
                                            info.n_swa > 0 && info.n_swa < info.n_ctx_train
                                                ? fmt::format(" (sliding window {})", info.n_swa)
                                                : ""));
    print_row("embedding", fmt::format("{}", info.n_embd));
    print_row("attention",
              fmt::format("{} heads, {} KV heads, head size {}", info.n_head, info.n_head_kv, info.head_size));
    if (info.n_ff > 0) print_row("dense FFN", fmt::format("{}", info.n_ff));
    print_row("experts", expert_text(info));
    if (info.n_expert > 0) {
        print_row("expert FFN", fmt::format("{} x {}", info.n_embd, info.n_ff_exp));
        print_row("expert tensors", expert_tensor_text(info));
        print_row("expert bytes", per_layer_text(info));
    }
    print_row("--cpu-moe", cpu_moe_text(info));
    print_row("vocabulary", vocabulary_text(info));
    print_row("chat template", template_text(info));
    if (!sampling.empty()) print_row("sampling", sampling + " (the file recommends it)");
    fmt::print("\n{:<10} {:>8} {:>12}\n", "type", "tensors", "bytes");
    for (const gguf::TypeUse & use : info.types)
        fmt::print("{:<10} {:>8} {:>12}\n", use.type, use.n_tensors, format_bytes(use.bytes));
    if (info.shards.size() > 1) {
        fmt::print("\nsplit into {} files:\n", info.shards.size());
        for (const auto & shard : info.shards)
            fmt::print("  {}\n", shard.string());
    }
}

struct InspectArguments {
    std::string name;
    bool prompt_format = false;
};

// Of a model on the Hub the header alone is fetched.
hub::ModelHeader header_of(const std::string & name, const Globals & globals) {
    if (const auto here = file_here(name, globals)) return {*here, name, nullptr};
    return hub::checking_answers([&] {
        return hub::find_header(hub::read_environment(), hub::parse_model_name(canonical_model_name(name)), "",
                                [](const std::string & line) { fmt::print(stderr, "{}\n", line); });
    });
}

int run_inspect(const InspectArguments & options, const Globals & globals) {
    const hub::ModelHeader header = header_of(options.name, globals);
    const gguf::GgufFile opened(header.file);
    const gguf::ModelInfo info = gguf::read_model_info(opened);
    const std::vector<std::string> problems = gguf::find_problems(opened);
    const std::string sampling = gguf::sampling_text(gguf::recommended_sampling(opened));
    const std::string format = options.prompt_format ? engine::prompt_format(opened) : "";
    if (globals.json) {
        // Text in a file need not be UTF-8: what is not is replaced.
        Json document = to_json(info);
        document["sampling"] = sampling.empty() ? Json(nullptr) : Json(sampling);
        if (options.prompt_format) document["prompt_format"] = format;
        document["problems"] = problems;
        document["weaknesses"] = gguf::find_weaknesses(opened);
        fmt::print("{}\n", json_text(document));
    } else {
        print_text(info, sampling);
        if (options.prompt_format) fmt::print("\nprompt format:\n{}\n", printable_lines(format));
        for (const std::string & problem : problems)
            fmt::print("\nproblem: {}\n", printable(problem, MAX_PROBLEM_CHARS));
        for (const std::string & weakness : gguf::find_weaknesses(opened))
            fmt::print("\nwarning: {}\n", printable(weakness, MAX_PROBLEM_CHARS));
    }
    return 0;
}

}  // namespace

void add_inspect(Commands & commands) {
    auto options = std::make_shared<InspectArguments>();
    CLI::App * command = commands.add("inspect", "show what a model file holds, without reading its weights",
                                      [options, &commands] { return run_inspect(*options, commands.globals()); });
    command
        ->add_option(
            "model,--model", options->name,
            "GGUF file (of a split model, its first part), a name from `shimmy list`, or one on the Hub, of which "
            "only the header is read: hf:USER/NAME[:QUANT]")
        ->type_name("FILE|NAME")
        ->required();
    command->add_flag("--prompt-format", options->prompt_format,
                      "show how the chat template writes a question: a program in the file, which is run for it");
    add_model_dirs_option(*command, commands.globals());
    command->footer(
        "Keys of --json, which stay as they are: name, arch, description, quantization (of the file's own label), "
        "dominant_type (that most bytes have), size_bytes (all parts), tensor_bytes, bits_per_weight, n_params, "
        "n_active_params (all but the experts that a token does not choose), bytes_per_token (of weights read to "
        "decode one), n_layers, n_layers_dense_lead, n_layers_nextn (predict further tokens, and are not loaded), n_ctx_train, n_swa, n_embd, n_ff, n_ff_exp, n_head, n_head_kv, "
        "head_size, n_vocab, n_expert, n_expert_used, n_expert_shared, n_expert_tensors, n_expert_bias_tensors, "
        "expert_bytes, expert_bytes_per_layer, cpu_moe_applies, n_tensors, tensor_types (type, n_tensors, bytes), "
        "tokenizer, chat_template, shards, sampling (recommended by the file, as options), prompt_format (with --prompt-format), problems (what keeps llama.cpp from working with the file, each with the way "
        "out), weaknesses (what makes its answers worse)."
        " What the file does not say is 0, or null.");
}

}  // namespace shimmy::cli
