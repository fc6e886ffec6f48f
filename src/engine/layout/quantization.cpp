#include "engine/layout/quantization.h"

#include "base/error.h"
#include "base/text/text.h"

#include "llama.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace shimmy::engine {

namespace {

struct Quantization {
    const char * name;
    llama_ftype ftype;
};

// Names and file types as in llama.cpp's tools/quantize, ordered by bits per weight.
constexpr std::array QUANTIZATIONS{
    Quantization{"Q1_0", LLAMA_FTYPE_MOSTLY_Q1_0},
    Quantization{"IQ1_S", LLAMA_FTYPE_MOSTLY_IQ1_S},
    Quantization{"TQ1_0", LLAMA_FTYPE_MOSTLY_TQ1_0},
    Quantization{"IQ1_M", LLAMA_FTYPE_MOSTLY_IQ1_M},
    Quantization{"IQ2_XXS", LLAMA_FTYPE_MOSTLY_IQ2_XXS},
    Quantization{"TQ2_0", LLAMA_FTYPE_MOSTLY_TQ2_0},
    Quantization{"Q2_0", LLAMA_FTYPE_MOSTLY_Q2_0},
    Quantization{"IQ2_XS", LLAMA_FTYPE_MOSTLY_IQ2_XS},
    Quantization{"IQ2_S", LLAMA_FTYPE_MOSTLY_IQ2_S},
    Quantization{"IQ2_M", LLAMA_FTYPE_MOSTLY_IQ2_M},
    Quantization{"Q2_K_S", LLAMA_FTYPE_MOSTLY_Q2_K_S},
    Quantization{"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},
    Quantization{"IQ3_XXS", LLAMA_FTYPE_MOSTLY_IQ3_XXS},
    Quantization{"IQ3_XS", LLAMA_FTYPE_MOSTLY_IQ3_XS},
    Quantization{"IQ3_S", LLAMA_FTYPE_MOSTLY_IQ3_S},
    Quantization{"Q3_K_S", LLAMA_FTYPE_MOSTLY_Q3_K_S},
    Quantization{"IQ3_M", LLAMA_FTYPE_MOSTLY_IQ3_M},
    Quantization{"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M},
    Quantization{"Q3_K_L", LLAMA_FTYPE_MOSTLY_Q3_K_L},
    Quantization{"MXFP4_MOE", LLAMA_FTYPE_MOSTLY_MXFP4_MOE},
    Quantization{"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS},
    Quantization{"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL},
    Quantization{"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},
    Quantization{"Q4_K_S", LLAMA_FTYPE_MOSTLY_Q4_K_S},
    Quantization{"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M},
    Quantization{"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},
    Quantization{"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},
    Quantization{"Q5_K_S", LLAMA_FTYPE_MOSTLY_Q5_K_S},
    Quantization{"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M},
    Quantization{"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},
    Quantization{"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},
    Quantization{"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
    Quantization{"F16", LLAMA_FTYPE_MOSTLY_F16},
    Quantization{"BF16", LLAMA_FTYPE_MOSTLY_BF16},
    Quantization{"F32", LLAMA_FTYPE_ALL_F32},
};

struct Alias {
    const char * name;
    const char * type;
};
constexpr std::array ALIASES{Alias{"Q3_K", "Q3_K_M"}, Alias{"Q4_K", "Q4_K_M"}, Alias{"Q5_K", "Q5_K_M"},
                             Alias{"MXFP4", "MXFP4_MOE"}};

const Quantization & find(const std::string & type) {
    std::string name = upper(type);
    for (const Alias & alias : ALIASES) {
        if (name == alias.name) name = alias.type;
    }
    for (const Quantization & quantization : QUANTIZATIONS) {
        if (name == quantization.name) return quantization;
    }
    fail_usage("'{}' is not a quantization (there is: {})", type, fmt::join(quantization_types(), ", "));
}

}  // namespace

const std::vector<std::string> & quantization_types() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> result;
        for (const Quantization & quantization : QUANTIZATIONS)
            result.emplace_back(quantization.name);
        return result;
    }();
    return names;
}

std::string canonical_quantization(const std::string & type) {
    return find(type).name;
}

int quantization_ftype(const std::string & type) {
    return find(type).ftype;
}

}  // namespace shimmy::engine
