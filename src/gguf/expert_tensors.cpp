#include "gguf/expert_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace shimmy::gguf {

bool is_moved_by_cpu_moe(std::string_view name) {
    constexpr std::string_view PREFIX = ".ffn_";
    constexpr std::array<std::string_view, 4> MATRICES{"up", "down", "gate_up", "gate"};
    constexpr std::array<std::string_view, 2> KINDS{"_exps", "_chexps"};
    for (size_t at = name.find(PREFIX); at != std::string_view::npos; at = name.find(PREFIX, at + PREFIX.size())) {
        const std::string_view rest = name.substr(at + PREFIX.size());
        for (const std::string_view matrix : MATRICES) {
            if (!rest.starts_with(matrix)) continue;
            for (const std::string_view kind : KINDS) {
                if (rest.substr(matrix.size()).starts_with(kind)) return true;
            }
        }
    }
    return false;
}

bool is_expert_tensor(std::string_view name) {
    return is_moved_by_cpu_moe(name) && name.ends_with(".weight");
}

bool is_tensor_of_one_expert(std::string_view name) {
    for (const std::string_view matrix : {".ffn_gate.", ".ffn_up.", ".ffn_down."}) {
        const size_t at = name.find(matrix);
        if (at == std::string_view::npos) continue;
        const std::string_view rest = name.substr(at + matrix.size());
        const size_t n_digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
        return n_digits > 0 && rest.substr(n_digits) == ".weight";
    }
    return false;
}

int layer_of(std::string_view name) {
    constexpr std::string_view PREFIX = "blk.";
    if (!name.starts_with(PREFIX)) return -1;
    int layer = -1;
    const char * const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + PREFIX.size(), end, layer);
    return error == std::errc() && rest != end && *rest == '.' && layer >= 0 ? layer : -1;
}

}  // namespace shimmy::gguf
