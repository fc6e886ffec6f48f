#include "cli/table/familiar.h"

#include "base/error.h"
#include "engine/load/llama_args.h"
#include "library/names.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>

namespace shimmy::cli {

namespace {

const std::set<std::string_view> COMMANDS{"generate", "chat", "run", "serve", "probe", "bench", "tune"};

// The same option, with the same values.
const std::map<std::string_view, std::string_view> RENAMED{
    {"-m", "--model"},
    {"-c", "--ctx"},
    {"--ctx-size", "--ctx"},
    {"-t", "--threads"},
    {"-dev", "--device"},
    {"-b", "--batch"},
    {"--batch-size", "--batch"},
    {"-ub", "--ubatch"},
    {"--ubatch-size", "--ubatch"},
    {"-np", "--parallel"},
    {"--n-predict", "--max-tokens"},
    {"--predict", "--max-tokens"},
    {"--temp", "--temperature"},
    {"-s", "--seed"},
    {"-f", "--prompt-file"},
    {"--file", "--prompt-file"},
    {"-sys", "--system"},
    {"--system-prompt", "--system"},
    {"-cmoe", "--cpu-moe"},
    {"-ncmoe", "--n-cpu-moe"},
    {"-ctk", "--cache-type-k"},
    {"-ctv", "--cache-type-v"},
    {"-fa", "--flash-attn"},
    {"-lm", "--load-mode"},
    {"-lzm", "--lazy-mode"},
    {"-cram", "--cache-ram"},
    {"-ot", "--override-tensor"},
    {"-sm", "--split-mode"},
    {"-ts", "--tensor-split"},
    {"-md", "--model-draft"},
    {"-mm", "--mmproj"},
    {"--n-depth", "--depth"},
    {"-pg", "--prompt-and-gen"},
};

// Flags of llama.cpp that stand for several words, or for what shimmy does anyway.
const std::map<std::string_view, std::vector<std::string>> FLAGS{
    {"--no-mmap", {"--load-mode", "none"}},
    {"--mlock", {"--load-mode", "mlock"}},
    {"--jinja", {}},
};

const std::map<std::string_view, std::string_view> POINTED_AT{
    {"-cnv", "shimmy chat MODEL holds conversations"},
    {"--conversation", "shimmy chat MODEL holds conversations"},
    {"-i", "shimmy chat MODEL holds conversations"},
    {"--interactive", "shimmy chat MODEL holds conversations"},
};

constexpr const char * COMMAND_WORDS[][2] = {
    {"ls", "list"},          {"show", "inspect"},       {"download", "pull"},     {"ps", "list"},
    {"benchmark", "bench"},  {"perplexity", "quality"}, {"quantise", "quantize"}, {"server", "serve"},
    {"devices", "gpu-info"}, {"complete", "generate"},  {"cli", "chat"}};

constexpr int ALL_LAYERS = 99;  // what people write for all of them

// llama.cpp counts layers, attention included: the wrong cut for experts (docs/howto/choose-a-placement.md).
std::vector<std::string> gpu_layers(const std::string & flag, const std::string & value) {
    if (value == "0") return {"--device", "cpu"};
    if (value == "auto") return {};
    int n = 0;
    std::from_chars(value.data(), value.data() + value.size(), n);
    if (value == "all" || n >= ALL_LAYERS) return {"--placement", "gpu"};
    fail_usage(
        "{} {}: shimmy moves experts to the CPU, not whole layers: leave it out (--placement auto takes what fits), or "
        "use --n-cpu-moe N",
        flag, value);
}

struct Word {
    std::string flag;
    std::optional<std::string> value;  // of "--flag=value"
};

Word word_of(const std::string & word) {
    const size_t equals = word.find('=');
    if (!word.starts_with("--") || equals == std::string::npos) return {word, std::nullopt};
    return {word.substr(0, equals), word.substr(equals + 1)};
}

const CommandRow * find_command(const std::string & name, const CommandRow & parent) {
    for (const CommandRow & row : parent.commands) {
        if (row.path.back() == name) return &row;
    }
    return nullptr;
}

// The one that the words name; the program itself where they name none.
const CommandRow & command_of(const std::vector<std::string> & words, const CommandRow & root) {
    const CommandRow * command = &root;
    for (const std::string & word : words) {
        if (const CommandRow * child = find_command(word, *command)) command = child;
    }
    return *command;
}

// Near enough to be the same word mistyped: a third of its letters.
std::string nearest(const std::string & word, const std::vector<std::string> & candidates) {
    std::string best;
    size_t least = std::max<size_t>(1, word.size() / 3) + 1;
    for (const std::string & candidate : candidates) {
        const size_t distance = library::edit_distance(word, candidate);
        if (distance >= least) continue;
        least = distance;
        best = candidate;
    }
    return best;
}

std::string unknown_command(const std::string & word, const CommandRow & parent, const CommandRow & root) {
    std::string meant;
    for (const auto & [known, ours] : COMMAND_WORDS) {
        if (word == known && &parent == &root) meant = ours;
    }
    std::vector<std::string> names;
    for (const CommandRow & row : parent.commands)
        names.push_back(fmt::format("{}", fmt::join(row.path, " ")));
    const std::string prefix = parent.path.empty() ? "" : fmt::format("{} ", fmt::join(parent.path, " "));
    if (meant.empty()) meant = nearest(prefix + word, names);
    return meant.empty() ? fmt::format("unknown command '{}' (see shimmy --help)", word)
                         : fmt::format("unknown command '{}'; did you mean shimmy {}?", word, meant);
}

}  // namespace

std::vector<std::string> respelled(const std::vector<std::string> & words, const CommandRow & root) {
    const std::vector<std::string> & path = command_of(words, root).path;
    if (path.size() != 1 || !COMMANDS.contains(path.front())) return words;
    std::vector<std::string> out;
    for (size_t i = 0; i < words.size(); ++i) {
        const auto [flag, value] = word_of(words[i]);
        const auto take_value = [&]() -> std::string {
            if (value) return *value;
            if (++i == words.size()) fail_usage("{}: a value is missing", flag);
            return words[i];
        };
        if (const auto found = RENAMED.find(flag); found != RENAMED.end()) {
            out.push_back(std::string(found->second) + (value ? "=" + *value : ""));
        } else if (const auto several = FLAGS.find(flag); several != FLAGS.end()) {
            out.insert(out.end(), several->second.begin(), several->second.end());
        } else if (const auto pointer = POINTED_AT.find(flag); pointer != POINTED_AT.end()) {
            fail_usage("{}: {}", flag, pointer->second);
        } else if (flag == "-ngl" || flag == "--gpu-layers" || flag == "--n-gpu-layers") {
            const std::vector<std::string> ours = gpu_layers(flag, take_value());
            out.insert(out.end(), ours.begin(), ours.end());
        } else if (flag == "-hf" || flag == "-hfr" || flag == "--hf-repo") {
            out.insert(out.end(), {"--model", "hf:" + take_value()});
        } else {
            out.push_back(words[i]);
        }
    }
    return out;
}

std::string see_help(const std::vector<std::string> & words, const CommandRow & root) {
    std::string command;
    for (const std::string & name : command_of(words, root).path)
        command += name + " ";
    return fmt::format("see shimmy {}--help", command);
}

std::string unexpected_word(const std::string & word, const std::vector<std::string> & words, const CommandRow & root) {
    const CommandRow & command = command_of(words, root);
    if (!word.starts_with("-"))
        return command.commands.empty() ? fmt::format("unexpected argument '{}' ({})", word, see_help(words, root))
                                        : unknown_command(word, command, root);
    std::vector<std::string> flags;
    for (const CommandRow * row : {&command, &root}) {
        for (const OptionRow & option : row->options)
            flags.insert(flags.end(), option.flags.begin(), option.flags.end());
    }
    const std::string flag = word_of(word).flag;
    std::string hint;
    if (!command.path.empty() && COMMANDS.contains(command.path.front())) {
        const auto use = command.path.front() == "serve" ? engine::LlamaUse::server : engine::LlamaUse::text;
        hint = engine::llama_option_hint(flag, use);
    }
    const std::string near = nearest(flag, flags);
    if (hint.empty() && !near.empty()) hint = fmt::format("did you mean {}?", near);
    return hint.empty() ? fmt::format("unknown option {} ({})", flag, see_help(words, root))
                        : fmt::format("unknown option {}; {}", flag, hint);
}

}  // namespace shimmy::cli
