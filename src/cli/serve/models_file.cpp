#include "cli/serve/models_file.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/toml_reader.h"
#include "library/names.h"
#include "library/resolve.h"

#include <array>
#include <set>

namespace shimmy::cli {

namespace {

// Keys beside those of the options.
constexpr const char * MODEL = "model";
constexpr const char * ALIASES = "aliases";
constexpr const char * PINNED = "pinned";
constexpr const char * LLAMA_ARGS = "llama-args";

// One of a table replaces any of the command line: they say the same thing.
constexpr std::array PLACEMENTS{"placement", "cpu-moe", "n-cpu-moe"};

[[noreturn]] void fail_unknown(const CLI::App & command, const TomlReader & reader, const std::string & key) {
    std::vector<std::string> keys{MODEL, ALIASES, PINNED, LLAMA_ARGS};
    for (const CLI::Option * option : command.get_options()) {
        if (!option->get_lnames().empty()) keys.push_back(option->get_lnames().front());
    }
    const std::vector<std::string> near = library::nearest_names(key, keys, 1);
    reader.fail_at(key, near.empty() ? fmt::format("there is no setting '{}' (shimmy serve --help has them)", key)
                                     : fmt::format("there is no setting '{}'; did you mean {}?", key, near.front()));
}

// "--key=value", as the command line would say it.
std::string as_option(const TomlReader & reader, const std::string & key, const toml::node & value) {
    if (const auto text = value.value_exact<std::string>()) return fmt::format("--{}={}", key, *text);
    if (const auto truth = value.value_exact<bool>()) return fmt::format("--{}={}", key, *truth);
    if (const auto number = value.value_exact<int64_t>()) return fmt::format("--{}={}", key, *number);
    if (const auto number = value.value_exact<double>()) return fmt::format("--{}={}", key, *number);
    reader.fail_at(key, fmt::format("'{}' must be text, a number, true or false", key));
}

std::vector<std::string> texts(TomlReader & reader, const std::string & key) {
    std::vector<std::string> result;
    const toml::array * list = reader.list(key);
    if (list == nullptr) return result;
    for (const toml::node & element : *list)
        result.push_back(reader.element_string(element, key));
    return result;
}

// Reads a table into copies of what the command line says.
class Settings {
public:
    Settings(const toml::table & table, const std::string & file, const std::string & name, ModelArguments arguments,
             Globals globals)
        : table_(table),
          reader_(table, file, "table of " + name),
          name_(name),
          arguments_(std::move(arguments)),
          globals_(std::move(globals)) {
        command_.set_help_flag("");
        add_model_options(command_, arguments_, globals_);
    }

    serve::ServedModel model() {
        const std::string source = reader_.string(MODEL, name_);
        const std::vector<std::string> aliases = texts(reader_, ALIASES);
        const bool is_pinned = reader_.boolean(PINNED, false);
        for (const std::string & arg : texts(reader_, LLAMA_ARGS))
            globals_.llama_args.push_back(arg);
        read_options();
        serve::ServedModel model;
        try {
            model = named_model(source, arguments_, globals_);
        } catch (const Error & error) {
            reader_.fail_at(MODEL, fmt::format("[{}] {}", name_, error.what()));
        }
        model.name = library::normalized_name(name_);
        for (const std::string & alias : aliases)
            model.aliases.push_back(library::normalized_name(alias));
        model.is_pinned = is_pinned;
        model.loads_at_start = is_pinned;
        return model;
    }

private:
    void read_options() {
        for (const char * key : PLACEMENTS) {
            if (!table_.contains(key)) continue;
            globals_.placement.reset();
            globals_.cpu_moe = false;
            globals_.n_cpu_moe.reset();
        }
        for (const auto & [key, value] : table_) {
            const std::string name(key.str());
            if (name == MODEL || name == ALIASES || name == PINNED || name == LLAMA_ARGS) continue;
            if (command_.get_option_no_throw("--" + name) == nullptr) fail_unknown(command_, reader_, name);
            words_.insert(words_.begin(), as_option(reader_, name, value));  // CLI11 takes them from the end
        }
        try {
            command_.parse(words_);
            for (GivenOption & one : given_options(command_, globals_))
                arguments_.given.push_back(std::move(one));
        } catch (const CLI::ParseError & error) {
            reader_.fail_at(MODEL, fmt::format("[{}] {}", name_, error.what()));
        }
    }

    const toml::table & table_;
    TomlReader reader_;
    std::string name_;
    ModelArguments arguments_;
    Globals globals_;
    CLI::App command_;
    std::vector<std::string> words_;
};

}  // namespace

std::vector<serve::ServedModel> models_of_file(const std::string & file, const ModelArguments & arguments,
                                               const Globals & globals) {
    const toml::table tables = parse_toml(read_file(file), file);
    std::vector<serve::ServedModel> models;
    std::set<std::string> names;
    TomlReader reader(tables, file, "file");
    for (const auto & [key, node] : tables) {
        const std::string name(key.str());
        const toml::table * table = reader.table(name);
        serve::ServedModel & model = models.emplace_back(Settings(*table, file, name, arguments, globals).model());
        std::vector<std::string> its_names = model.aliases;
        its_names.push_back(model.name);
        for (const std::string & one : its_names) {
            if (!names.insert(one).second) reader.fail_at(name, fmt::format("'{}' names two models", one));
        }
    }
    if (models.empty()) fail_usage("{}: holds no models, written as [name]", file);
    return models;
}

}  // namespace shimmy::cli
