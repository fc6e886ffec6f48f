#include "lab/campaign/campaign.h"

#include "base/text/text.h"
#include "base/text/toml_reader.h"
#include "engine/layout/quantization.h"
#include "eval/task.h"
#include "lab/campaign/languages.h"
#include "library/names.h"

#include <algorithm>
#include <cctype>
#include <limits>

namespace shimmy::lab {

namespace {

constexpr int MAX_REPEATS = 1000;
constexpr int MAX_TIMEOUT_S = 7 * 24 * 3600;
constexpr int MAX_CLIENTS = 1024;
constexpr int MAX_SHOTS = 1000;
constexpr int MIN_MAX_TOKENS = 2;  // a decode rate needs two tokens

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

// Of a list of texts.
template <typename Parse>
auto parse_element(const TomlReader & reader, const toml::node & node, const std::string & key, const Parse & parse) {
    return reader.parsed(node, reader.element_string(node, key), parse);
}

// The modes of the campaign's list: a load run has a table of its own.
Mode parse_mode(const std::string & text) {
    for (const Mode mode : {Mode::generate, Mode::stream, Mode::no_stream}) {
        if (text == to_string(mode)) return mode;
    }
    fail_usage("unknown mode '{}': generate, stream or no-stream", text);
}

std::string parse_quantization(const std::string & text, const std::vector<Mix> & mixes) {
    for (const Mix & mix : mixes) {
        if (lower(text) == lower(mix.name)) return mix.name;
    }
    return lower(text) == INPUT_AS_IS ? std::string(INPUT_AS_IS) : engine::canonical_quantization(text);
}

std::vector<std::string> read_quantizations(TomlReader & reader, const std::vector<Mix> & mixes,
                                            const std::vector<std::string> & fallback) {
    const toml::array * list = reader.list("quantizations");
    if (list == nullptr) return fallback;
    std::vector<std::string> result;
    for (const toml::node & node : *list) {
        const std::string type = parse_element(
            reader, node, "quantizations", [&](const std::string & name) { return parse_quantization(name, mixes); });
        check_new(
            reader, node, result, type, [](const std::string & name) { return name; }, "quantization");
        result.push_back(type);
    }
    return result;
}

std::string parse_language(const std::string & text) {
    if (is_language_code(text)) return text;
    fail_usage("language '{}': a code of ISO 639 such as en, de or yue, multilingual, or code", text);
}

std::vector<std::string> read_languages(TomlReader & reader, const std::vector<std::string> & fallback) {
    const toml::array * list = reader.list("languages");
    if (list == nullptr) return fallback;
    std::vector<std::string> result;
    for (const toml::node & node : *list) {
        const std::string code = parse_element(reader, node, "languages", parse_language);
        check_new(
            reader, node, result, code, [](const std::string & text) { return text; }, "language");
        result.push_back(code);
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

std::vector<Mode> read_modes(TomlReader & reader) {
    const toml::array * list = reader.list("modes");
    if (list == nullptr) return {Mode::generate};
    std::vector<Mode> result;
    for (const toml::node & node : *list) {
        const Mode mode = parse_element(reader, node, "modes", parse_mode);
        check_new(
            reader, node, result, mode, [](Mode m) { return std::string(to_string(m)); }, "mode");
        result.push_back(mode);
    }
    return result;
}

// What a prompt or a task stands for.
std::string read_use(TomlReader & table) {
    std::string use = table.string("use", "");
    const bool known = use.empty() || std::find(USES.begin(), USES.end(), use) != USES.end();
    if (!known) table.fail_at("use", fmt::format("'use' is \"{}\", must be one of {}", use, fmt::join(USES, ", ")));
    return use;
}

std::vector<Prompt> read_prompt_list(TomlReader & reader, const toml::array & list, const std::string & file) {
    std::vector<Prompt> result;
    for (const toml::node & node : list) {
        TomlReader table(reader.element_table(node, "prompts"), file, "prompt");
        Prompt prompt{table.required_string("id"), table.required_string("text"), read_use(table),
                      table.string("why", ""), table.string("expect", "")};
        table.finish();
        check_name(reader, node, "prompt id", prompt.id);
        check_new(
            reader, node, result, prompt, [](const Prompt & p) { return p.id; }, "prompt id");
        result.push_back(std::move(prompt));
    }
    return result;
}

// A file that holds [[prompts]] and nothing else.
std::vector<Prompt> read_prompts_file(const fs::path & path) {
    const std::string file = path.string();
    const toml::table root = parse_toml(read_file(path), file);
    TomlReader reader(root, file, "prompts file");
    const toml::array * list = reader.list("prompts");
    if (list == nullptr) fail_usage("{}:1: the file has no [[prompts]]", file);
    std::vector<Prompt> prompts = read_prompt_list(reader, *list, file);
    reader.finish();
    return prompts;
}

std::vector<Prompt> read_prompts(TomlReader & reader, const std::string & file, const fs::path & base) {
    const toml::array * list = reader.list("prompts");
    const std::string prompts_file = reader.string("prompts_file", "");
    if (list != nullptr && !prompts_file.empty())
        reader.fail_at(*list, "give the prompts here or in 'prompts_file', not both");
    if (!prompts_file.empty()) return read_prompts_file((base / prompts_file).lexically_normal());
    return list == nullptr ? default_prompts() : read_prompt_list(reader, *list, file);
}

LoadTest read_load(TomlReader & reader, const std::string & file) {
    LoadTest load;
    const toml::table * node = reader.table("load");
    if (node == nullptr) return load;
    TomlReader table(*node, file, "load table");
    load.clients = table.integers("clients", 1, MAX_CLIENTS).value_or(std::vector<int>{1, 4, 16});
    load.duration_s = static_cast<int>(table.integer("duration_s", load.duration_s, 1, MAX_TIMEOUT_S));
    load.repeats = static_cast<int>(table.integer("repeats", load.repeats, 1, MAX_REPEATS));
    table.finish();
    return load;
}

QualityTest read_quality(TomlReader & reader, const std::string & file, const fs::path & base) {
    QualityTest quality;
    const toml::table * node = reader.table("quality");
    if (node == nullptr) return quality;
    TomlReader table(*node, file, "quality table");
    quality.text = (base / table.required_string("text")).lexically_normal();
    quality.chunks = static_cast<int>(table.integer("chunks", quality.chunks, 0, std::numeric_limits<int>::max()));
    quality.check_offload = table.boolean("check_offload", false);
    table.finish();
    return quality;
}

CampaignTask read_task(TomlReader & table, const fs::path & base) {
    constexpr int max_int = std::numeric_limits<int>::max();
    const auto number = [&](const char * key, int fallback, int min) {
        return static_cast<int>(table.integer(key, fallback, min, max_int));
    };
    CampaignTask task;
    const std::string file = table.required_string("file");
    task.file = (base / file).lexically_normal();
    task.id = table.string("id", task.file.stem().string());
    task.form = table.string("form", "");
    if (!task.form.empty() && !eval::form_named(task.form))
        table.fail_at(
            "form", fmt::format("'form' is \"{}\", must be one of {}", task.form, fmt::join(eval::form_names(), ", ")));
    task.use = read_use(table);
    task.n_shots = static_cast<size_t>(table.integer("shots", 0, 0, MAX_SHOTS));
    const std::string shots_file = table.string("shots_file", "");
    if (!shots_file.empty()) task.shots_file = (base / shots_file).lexically_normal();
    if (!shots_file.empty() && task.n_shots == 0)
        table.fail_at("shots_file", "'shots_file' needs 'shots': how many examples of it?");
    task.limit = static_cast<size_t>(number("limit", 0, 0));
    task.max_tokens = number("max_tokens", task.max_tokens, 1);
    task.chat = table.boolean("chat", false);
    task.n_ctx = number("n_ctx", 0, 1);
    task.timeout_s = static_cast<int>(table.integer("timeout_s", task.timeout_s, 1, MAX_TIMEOUT_S));
    return task;
}

std::vector<CampaignTask> read_tasks(TomlReader & reader, const std::string & file, const fs::path & base) {
    const toml::array * list = reader.list("tasks");
    std::vector<CampaignTask> result;
    if (list == nullptr) return result;
    for (const toml::node & node : *list) {
        TomlReader table(reader.element_table(node, "tasks"), file, "task");
        CampaignTask task = read_task(table, base);
        table.finish();
        check_name(reader, node, "task id", task.id);
        check_new(
            reader, node, result, task, [](const CampaignTask & t) { return t.id; }, "task id");
        result.push_back(std::move(task));
    }
    return result;
}

CardLayout read_layout(TomlReader & reader) {
    const std::string text = reader.string("layout", to_string(CardLayout::per_quant));
    for (const CardLayout layout : {CardLayout::per_quant, CardLayout::per_model}) {
        if (text == to_string(layout)) return layout;
    }
    reader.fail_at("layout", fmt::format("'layout' is \"{}\", must be \"per-quant\" or \"per-model\"", text));
}

// A file, or a shape that stands for one.
void read_source(TomlReader & table, const toml::node & node, const fs::path & base, CampaignModel & model) {
    const std::string path = table.string("path", "");
    model.shape = table.string("shape", "");
    model.n_layers = static_cast<int>(table.integer("layers", 0, 1, std::numeric_limits<int>::max()));
    model.sparse = table.boolean("sparse", false);
    if (path.empty() == model.shape.empty())
        table.fail_at(node, "the model needs 'path' (a GGUF file) or 'shape' (a reference shape or a shape file)");
    if (!path.empty() && (model.n_layers > 0 || model.sparse))
        table.fail_at(node, "'layers' and 'sparse' belong to a 'shape': this model is a file");
    if (!path.empty()) model.path = (base / path).lexically_normal();
    if (model.shape.ends_with(".toml")) model.shape = (base / model.shape).lexically_normal().string();
}

// One that the Hub does not list has a name and a link; its text may lie beside the campaign.
void read_license(TomlReader & table, const toml::node & node, const fs::path & base, CampaignModel & model) {
    model.license = table.string("license", "");
    model.license_name = table.string("license_name", "");
    model.license_link = table.string("license_link", "");
    const bool described = !model.license_name.empty() || !model.license_link.empty();
    if (described && model.license != "other")
        table.fail_at(node, "'license_name' and 'license_link' describe license = \"other\"");
    const bool is_file = !model.license_link.empty() && model.license_link.find("://") == std::string::npos;
    if (is_file) model.license_link = (base / model.license_link).lexically_normal().string();
}

void read_imatrix(TomlReader & table, const toml::node & node, const fs::path & base, CampaignModel & model) {
    const std::string given = table.string("imatrix", "");
    const std::string text = table.string("imatrix_text", "");
    model.imatrix_chunks = static_cast<int>(table.integer("imatrix_chunks", 0, 1, std::numeric_limits<int>::max()));
    if (!given.empty() && !text.empty())
        table.fail_at(node, "'imatrix' is one that is there, 'imatrix_text' makes one: give one of the two");
    if (model.imatrix_chunks > 0 && text.empty())
        table.fail_at(node, "'imatrix_chunks' needs 'imatrix_text', the text that the matrix is made of");
    if (model.is_synthetic() && (!given.empty() || !text.empty()))
        table.fail_at(node, "an importance matrix belongs to a 'path': the weights of a 'shape' are random");
    if (!given.empty()) model.imatrix = (base / given).lexically_normal();
    if (!text.empty()) model.imatrix_text = (base / text).lexically_normal();
}

// What a model has from the campaign: mixes to name, and what it does not say itself.
struct ModelDefaults {
    const std::vector<Mix> & mixes;
    std::vector<std::string> quantizations;
    std::vector<std::string> languages;
};

std::vector<CampaignModel> read_models(TomlReader & reader, const std::string & file, const fs::path & base,
                                       const ModelDefaults & defaults) {
    const toml::array * list = reader.list("models");
    if (list == nullptr) fail_usage("{}:1: the campaign has no [[models]]", file);
    std::vector<CampaignModel> result;
    for (const toml::node & node : *list) {
        TomlReader table(reader.element_table(node, "models"), file, "model");
        CampaignModel model;
        read_source(table, node, base, model);
        const fs::path source = model.is_synthetic() ? fs::path(model.shape) : model.path;
        const bool shape_file = model.is_synthetic() && source.extension() == ".toml";
        const std::string stem = !model.is_synthetic() ? library::name_stem(source)
                                 : shape_file          ? source.stem().string()
                                                       : model.shape;
        model.name = table.string("name", library::normalized_name(stem));
        model.base_model = table.string("base_model", "");
        model.about = table.string("about", "");
        read_license(table, node, base, model);
        read_imatrix(table, node, base, model);
        model.expected_architecture = table.string("expected_architecture", "");
        model.languages = read_languages(table, defaults.languages);
        model.quantizations = read_quantizations(table, defaults.mixes, defaults.quantizations);
        table.finish();
        check_name(reader, node, "model name", model.name);
        check_new(
            reader, node, result, model, [](const CampaignModel & m) { return m.name; }, "model name");
        result.push_back(std::move(model));
    }
    return result;
}

// A single value of one of these is the campaign's own.
void take_single(Axes & axes, const std::string & key, int & value) {
    const Axis * axis = axes.find(key);
    if (axis == nullptr || axis->is_listed) return;
    value = std::stoi(axis->values.front());
    std::erase_if(axes.list, [&](const Axis & other) { return other.key == key; });
}

std::vector<RunKind> run_kinds(const Campaign & campaign) {
    std::vector<RunKind> kinds;
    for (const engine::Placement placement : campaign.placements) {
        for (const Mode mode : campaign.modes)
            kinds.push_back({mode != Mode::generate, placement.offloads()});
        if (!campaign.load.clients.empty()) kinds.push_back({true, placement.offloads()});
    }
    return kinds;
}

int number_of(const Point & point, const std::string & key, int fallback) {
    const std::string * value = value_of(point, key);
    return value == nullptr ? fallback : std::stoi(*value);
}

// Why the settings of one run cannot go together; empty if they can.
std::string conflict(const Campaign & campaign, const Point & point) {
    const int n_ctx = number_of(point, "n_ctx", campaign.n_ctx);
    const int depth = number_of(point, "depth", 0);
    const int prompt = number_of(point, "prompt_tokens", 0);
    const int answer = number_of(point, "max_tokens", campaign.max_tokens);
    if (int64_t{depth} + prompt + answer > n_ctx && (depth > 0 || prompt > 0))
        return fmt::format("depth {}, prompt_tokens {} and max_tokens {} do not fit into n_ctx {}", depth, prompt,
                           answer, n_ctx);
    constexpr int DEFAULT_BATCH = 2048;
    const int batch = number_of(point, "batch", DEFAULT_BATCH);
    const int ubatch = number_of(point, "ubatch", 0);
    if (ubatch > batch)
        return fmt::format("ubatch {} is more than batch {}{}", ubatch, batch,
                           value_of(point, "batch") == nullptr ? ", the default" : "");
    const int largest = std::max(number_of(point, "batch", 0), ubatch);
    if (largest > n_ctx)
        return fmt::format("{} {} is more than n_ctx {}, which is the largest batch there is",
                           largest == ubatch ? "ubatch" : "batch", largest, n_ctx);
    const std::string * moe_backend = value_of(point, "moe_backend");
    const std::string * moe_cache = value_of(point, "moe_cache");
    if (moe_backend != nullptr && *moe_backend == "off" && moe_cache != nullptr && *moe_cache != "off")
        return fmt::format("moe_cache {} needs libggml-moe, and moe_backend is off", *moe_cache);
    const std::string * flash_attn = value_of(point, "flash_attn");
    for (const char * key : {"cache_type", "cache_type_v"}) {
        const std::string * type = value_of(point, key);
        const bool is_float = type == nullptr || *type == "f32" || *type == "f16" || *type == "bf16";
        if (!is_float && flash_attn != nullptr && *flash_attn == "off")
            return fmt::format("{} {} needs flash attention, and flash_attn is off", key, *type);
    }
    return "";
}

void check_axes(const TomlReader & reader, const toml::table & node, const Campaign & campaign) {
    const std::vector<RunKind> kinds = run_kinds(campaign);
    for (const Axis & axis : campaign.axes.list) {
        const bool applies = std::any_of(kinds.begin(), kinds.end(), [&](const RunKind & kind) {
            return !that_applies({{axis.key, axis.values.front()}}, kind).empty();
        });
        if (!applies)
            reader.fail_at(
                *node.get(axis.key),
                fmt::format("'{}' changes nothing here: {}", axis.key,
                            axis.key == "moe_cache" ? "no placement leaves experts in RAM"
                            : axis.key == "parallel"
                                ? "it is a server's, and the campaign has neither [load] nor the modes stream "
                                  "and no-stream"
                                : "it belongs to mode generate, which the campaign does not have"));
    }
    for (const Point & point : design_points(campaign.axes)) {
        for (const RunKind & kind : kinds) {
            const std::string reason = conflict(campaign, that_applies(point, kind));
            if (!reason.empty()) reader.fail_at(node, reason);
        }
    }
}

// Before the campaign's own keys of the same name are read; check_axes() comes after them.
void read_axes_of(TomlReader & reader, const toml::table & root, const std::string & file, Campaign & campaign) {
    const toml::table * node = reader.table("axes");
    if (node == nullptr) return;
    TomlReader table(*node, file, "axes table");
    campaign.axes = read_axes(table, *node);
    for (const Axis & axis : campaign.axes.list) {
        if (root.contains(axis.key))
            reader.fail_at(*node->get(axis.key),
                           fmt::format("'{}' stands in [axes] and above: leave one of them out", axis.key));
    }
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
    campaign.mixes = read_mixes(reader, file, base);
    campaign.models =
        read_models(reader, file, base,
                    {campaign.mixes, read_quantizations(reader, campaign.mixes, {"F16", "Q8_0", "Q4_K_M", "Q2_K"}),
                     read_languages(reader, /*fallback=*/{})});
    campaign.placements = read_placements(reader);
    campaign.modes = read_modes(reader);
    campaign.prompts = read_prompts(reader, file, base);
    campaign.load = read_load(reader, file);
    campaign.quality = read_quality(reader, file, base);
    campaign.tasks = read_tasks(reader, file, base);
    read_axes_of(reader, root, file, campaign);
    campaign.creator = reader.string("creator", "");
    campaign.repo_owner = reader.string("repo_owner", "");
    campaign.layout = read_layout(reader);
    for (const std::string & key : axis_keys()) {
        const bool own = key == "n_ctx" || key == "threads" || key == "max_tokens";
        if (own && root[key].is_array())
            reader.fail_at(key, fmt::format("'{}' is a list here: lists stand under [axes]", key));
        if (!own && root.contains(key)) reader.fail_at(key, fmt::format("'{}' stands under [axes]", key));
    }
    constexpr int max_int = std::numeric_limits<int>::max();
    campaign.repeats = static_cast<int>(reader.integer("repeats", campaign.repeats, 1, MAX_REPEATS));
    campaign.temperature = reader.number("temperature", campaign.temperature, 0.0, 10.0);
    campaign.seed =
        static_cast<uint32_t>(reader.integer("seed", campaign.seed, 0, std::numeric_limits<uint32_t>::max()));
    campaign.max_tokens = static_cast<int>(reader.integer("max_tokens", campaign.max_tokens, MIN_MAX_TOKENS, max_int));
    campaign.n_ctx = static_cast<int>(reader.integer("n_ctx", campaign.n_ctx, 1, max_int));
    campaign.n_threads = static_cast<int>(reader.integer("threads", campaign.n_threads, 0, 4096));
    campaign.device = reader.string("device", campaign.device);
    campaign.expert_trace = reader.boolean("expert_trace", false);
    campaign.timeout_s = static_cast<int>(reader.integer("timeout_s", campaign.timeout_s, 1, MAX_TIMEOUT_S));
    reader.finish();
    take_single(campaign.axes, "n_ctx", campaign.n_ctx);
    take_single(campaign.axes, "max_tokens", campaign.max_tokens);
    take_single(campaign.axes, "threads", campaign.n_threads);
    if (const toml::table * node = root["axes"].as_table()) check_axes(reader, *node, campaign);
    return campaign;
}

}  // namespace

const Mix * find_mix(const Campaign & campaign, const std::string & quantization) {
    for (const Mix & mix : campaign.mixes) {
        if (mix.name == quantization) return &mix;
    }
    return nullptr;
}

const std::vector<Prompt> & default_prompts() {
    static const std::vector<Prompt> prompts{
        {"fibonacci", "Write a Python function to compute the nth Fibonacci number.", "code",
         "Code: its tokens are easier to foresee than prose, and other experts are chosen for them."},
        {"train", "A train travels 60 miles per hour for 2.5 hours. How far does it go?", "chat",
         "Arithmetic with one right answer (150 miles), so that a damaged model shows.", "150"},
        {"stars", "Write a short poem about the stars in the style of Emily Dickinson.", "chat",
         "Verse, whose next word is hard to foresee: the opposite of code."},
        {"gradient-descent", "Explain gradient descent in simple terms.", "chat",
         "An explanation in plain prose with terms of a field, the most common kind of question."},
        {"quantum-computing", "Explain quantum computing in simple terms.", "chat",
         "The same form of question about another field, which tells chance from the subject."},
    };
    return prompts;
}

Campaign parse_campaign(std::string_view text, const fs::path & file) {
    Campaign campaign = read_table(parse_toml(text, file.string()), file);
    campaign.text = text;
    return campaign;
}

Campaign read_campaign(const fs::path & file) {
    return parse_campaign(read_file(file), file);
}

const char * to_string(Mode mode) {
    switch (mode) {
        case Mode::generate:
            return "generate";
        case Mode::stream:
            return "stream";
        case Mode::no_stream:
            return "no-stream";
        case Mode::load:
            return "load";
        case Mode::task:
            return "task";
    }
    return "";  // there is no other
}

const char * to_string(CardLayout layout) {
    return layout == CardLayout::per_quant ? "per-quant" : "per-model";
}

}  // namespace shimmy::lab
