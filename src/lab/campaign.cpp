#include "lab/campaign.h"

#include "engine/quantization.h"
#include "lab/toml_reader.h"
#include "library/names.h"

#include <algorithm>
#include <cctype>
#include <limits>

namespace shimmy::lab {

namespace {

constexpr int MAX_REPEATS = 1000;
constexpr int MAX_TIMEOUT_S = 7 * 24 * 3600;
constexpr int MIN_MAX_TOKENS = 2;  // a decode rate needs two tokens

// Names become folders and files.
bool is_file_name_safe(const std::string & name) {
    const auto safe = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
    return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), safe);
}

void check_name(const TomlReader & reader, const toml::node & node, const std::string & kind,
                const std::string & name) {
    if (!is_file_name_safe(name)) {
        reader.fail_at(node, fmt::format("{} '{}': letters, digits, '-', '_' and '.' only, as it becomes a file name",
                                         kind, name));
    }
}

template <typename T, typename Key>
void check_new(const TomlReader & reader, const toml::node & node, const std::vector<T> & seen, const T & item, Key key,
               const std::string & kind) {
    for (const T & other : seen) {
        if (key(other) == key(item)) reader.fail_at(node, fmt::format("{} '{}' is listed twice", kind, key(item)));
    }
}

// `parse` turns the text of an element into a value and throws UsageError, to which file:line is added here.
template <typename Parse>
auto parse_element(const TomlReader & reader, const toml::node & node, const std::string & key, const Parse & parse) {
    const std::string text = reader.element_string(node, key);
    try {
        return parse(text);
    } catch (const UsageError & error) {
        reader.fail_at(node, error.what());
    }
}

std::string parse_quantization(const std::string & text) {
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    return lower == INPUT_AS_IS ? lower : engine::canonical_quantization(text);
}

std::vector<std::string> read_quantizations(TomlReader & reader, const std::vector<std::string> & fallback) {
    const toml::array * list = reader.list("quantizations");
    if (list == nullptr) return fallback;
    std::vector<std::string> result;
    for (const toml::node & node : *list) {
        const std::string type = parse_element(reader, node, "quantizations", parse_quantization);
        check_new(
            reader, node, result, type, [](const std::string & name) { return name; }, "quantization");
        result.push_back(type);
    }
    return result;
}

std::vector<engine::Placement> read_placements(TomlReader & reader) {
    using engine::Placement;
    const toml::array * list = reader.list("placements");
    if (list == nullptr) return {Placement::baseline(), Placement::offload()};
    std::vector<Placement> result;
    for (const toml::node & node : *list) {
        const Placement placement = parse_element(reader, node, "placements", engine::parse_placement);
        check_new(
            reader, node, result, placement, [](Placement p) { return engine::to_string(p); }, "placement");
        result.push_back(placement);
    }
    const auto offloads = [](Placement p) { return p.offloads(); };
    if (std::all_of(result.begin(), result.end(), offloads) || std::none_of(result.begin(), result.end(), offloads)) {
        reader.fail_at(*list, "'placements' needs \"baseline\" and one that offloads: the table compares the two");
    }
    return result;
}

std::vector<Prompt> read_prompts(TomlReader & reader, const std::string & file) {
    const toml::array * list = reader.list("prompts");
    if (list == nullptr) return default_prompts();
    std::vector<Prompt> result;
    for (const toml::node & node : *list) {
        TomlReader table(reader.element_table(node, "prompts"), file, "prompt");
        Prompt prompt{table.required_string("id"), table.required_string("text")};
        table.finish();
        check_name(reader, node, "prompt id", prompt.id);
        check_new(
            reader, node, result, prompt, [](const Prompt & p) { return p.id; }, "prompt id");
        result.push_back(std::move(prompt));
    }
    return result;
}

std::vector<CampaignModel> read_models(TomlReader & reader, const std::string & file, const fs::path & base,
                                       const std::vector<std::string> & quantizations) {
    const toml::array * list = reader.list("models");
    if (list == nullptr) fail_usage("{}:1: the campaign has no [[models]]", file);
    std::vector<CampaignModel> result;
    for (const toml::node & node : *list) {
        TomlReader table(reader.element_table(node, "models"), file, "model");
        CampaignModel model;
        model.path = (base / table.required_string("path")).lexically_normal();
        model.name = table.string("name", library::normalized_name(library::name_stem(model.path)));
        model.quantizations = read_quantizations(table, quantizations);
        table.finish();
        check_name(reader, node, "model name", model.name);
        check_new(
            reader, node, result, model, [](const CampaignModel & m) { return m.name; }, "model name");
        result.push_back(std::move(model));
    }
    return result;
}

Campaign read_table(const toml::table & root, const fs::path & path) {
    const std::string file = path.string();
    const fs::path base = fs::absolute(path).parent_path();
    TomlReader reader(root, file, "campaign");
    Campaign campaign;
    campaign.file = path;
    campaign.name = reader.required_string("name");
    if (!is_file_name_safe(campaign.name)) {
        reader.fail_at(*root.get("name"),
                       "'name' may hold letters, digits, '-', '_' and '.' only, as it becomes a folder's name");
    }
    campaign.out_dir = (base / reader.string("out_dir", campaign.name)).lexically_normal();
    const auto quantizations = read_quantizations(reader, {"F16", "Q8_0", "Q4_K_M", "Q2_K"});
    campaign.models = read_models(reader, file, base, quantizations);
    campaign.placements = read_placements(reader);
    campaign.prompts = read_prompts(reader, file);
    constexpr int max_int = std::numeric_limits<int>::max();
    campaign.repeats = static_cast<int>(reader.integer("repeats", campaign.repeats, 1, MAX_REPEATS));
    campaign.temperature = reader.number("temperature", campaign.temperature, 0.0, 10.0);
    campaign.seed =
        static_cast<uint32_t>(reader.integer("seed", campaign.seed, 0, std::numeric_limits<uint32_t>::max()));
    campaign.max_tokens = static_cast<int>(reader.integer("max_tokens", campaign.max_tokens, MIN_MAX_TOKENS, max_int));
    campaign.n_ctx = static_cast<int>(reader.integer("n_ctx", campaign.n_ctx, 1, max_int));
    campaign.n_threads = static_cast<int>(reader.integer("threads", campaign.n_threads, 0, 4096));
    campaign.device = reader.string("device", campaign.device);
    campaign.timeout_s = static_cast<int>(reader.integer("timeout_s", campaign.timeout_s, 1, MAX_TIMEOUT_S));
    reader.finish();
    return campaign;
}

}  // namespace

const std::vector<Prompt> & default_prompts() {
    static const std::vector<Prompt> prompts{
        {"fibonacci", "Write a Python function to compute the nth Fibonacci number."},
        {"train", "A train travels 60 miles per hour for 2.5 hours. How far does it go?"},
        {"stars", "Write a short poem about the stars in the style of Emily Dickinson."},
        {"gradient-descent", "Explain gradient descent in simple terms."},
        {"quantum-computing", "Explain quantum computing in simple terms."},
    };
    return prompts;
}

Campaign parse_campaign(std::string_view text, const fs::path & file) {
    try {
        return read_table(toml::parse(text, file.string()), file);
    } catch (const toml::parse_error & error) {
        fail_usage("{}:{}: {}", file.string(), error.source().begin.line, error.description());
    }
}

Campaign read_campaign(const fs::path & file) {
    return parse_campaign(read_file(file), file);
}

}  // namespace shimmy::lab
