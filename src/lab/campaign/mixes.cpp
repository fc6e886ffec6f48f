#include "lab/campaign/mixes.h"

#include "base/text/text.h"
#include "base/text/units.h"
#include "engine/layout/quantization.h"
#include "lab/campaign/names.h"

#include <fmt/ranges.h>

#include <limits>

namespace shimmy::lab {

namespace {

constexpr int DEFAULT_CHUNKS = 16;  // as shimmy quantize takes them

bool is_quantization(const std::string & name) {
    try {
        return lower(name) == INPUT_AS_IS || !engine::canonical_quantization(name).empty();
    } catch (const UsageError &) {
        return false;
    }
}

void read_types(TomlReader & table, const toml::node & node, Mix & mix) {
    const std::string type = table.string("type", "");
    const toml::array * types = table.list("tensor_types");
    if (type.empty() != (types == nullptr))
        table.fail_at(node, "a mix has a 'type', and 'tensor_types' for what differs from it");
    if (types == nullptr) return;
    mix.type = table.parsed(node, type, engine::canonical_quantization);
    for (const toml::node & one : *types)
        mix.tensor_types.push_back(
            table.parsed(one, table.element_string(one, "tensor_types"), engine::parse_tensor_override));
}

void read_search(TomlReader & table, const toml::node & node, const fs::path & base, Mix & mix) {
    mix.target_size = table.string("target_size", "");
    const std::string text = table.string("text", "");
    const int chunks = static_cast<int>(table.integer("chunks", 0, 1, std::numeric_limits<int>::max()));
    if (mix.is_searched() != mix.type.empty())
        table.fail_at(node, "a mix has either 'type' and 'tensor_types', or 'target_size' and 'text'");
    if (mix.is_searched() == text.empty() || (!mix.is_searched() && chunks > 0))
        table.fail_at(node,
                      "'target_size' needs 'text', which quality is measured on; 'text' and 'chunks' are for it alone");
    if (!mix.is_searched()) return;
    table.parsed(node, mix.target_size, [](const std::string & size) { return parse_bytes(size, "'target_size'"); });
    mix.text = (base / text).lexically_normal();
    mix.chunks = chunks > 0 ? chunks : DEFAULT_CHUNKS;
}

Mix read_mix(TomlReader & table, const toml::node & node, const fs::path & base) {
    Mix mix;
    mix.name = table.required_string("name");
    if (!is_file_name_safe(mix.name))
        table.fail_at(
            node, fmt::format("mix '{}': letters, digits, '-', '_' and '.' only, as it becomes a file name", mix.name));
    if (is_quantization(mix.name))
        table.fail_at(node, fmt::format("mix '{}': a quantization of llama.cpp has that name", mix.name));
    read_types(table, node, mix);
    read_search(table, node, base, mix);
    table.finish();
    return mix;
}

}  // namespace

std::string Mix::recipe() const {
    if (is_searched())
        return fmt::format("the best types for at most {}, measured on {} chunks of {}", target_size, chunks,
                           text.filename().string());
    std::vector<std::string> types;
    for (const engine::TensorOverride & one : tensor_types)
        types.push_back(one.pattern + "=" + one.type);
    return fmt::format("{} with {}", type, fmt::join(types, ", "));
}

std::vector<Mix> read_mixes(TomlReader & reader, const std::string & file, const fs::path & base) {
    const toml::array * list = reader.list("mixes");
    std::vector<Mix> mixes;
    if (list == nullptr) return mixes;
    for (const toml::node & node : *list) {
        TomlReader table(reader.element_table(node, "mixes"), file, "mix");
        Mix mix = read_mix(table, node, base);
        for (const Mix & other : mixes) {
            if (lower(other.name) == lower(mix.name))
                reader.fail_at(node, fmt::format("mix '{}' is defined twice", mix.name));
        }
        mixes.push_back(std::move(mix));
    }
    return mixes;
}

}  // namespace shimmy::lab
