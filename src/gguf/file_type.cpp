#include "gguf/file_type.h"
#include "base/text/text.h"

#include "llama.h"

namespace shimmy::gguf {

std::string file_type_name(int64_t file_type) {
    switch (file_type) {
        case LLAMA_FTYPE_ALL_F32:
            return "F32";
        case LLAMA_FTYPE_MOSTLY_F16:
            return "F16";
        case LLAMA_FTYPE_MOSTLY_BF16:
            return "BF16";
        case LLAMA_FTYPE_MOSTLY_Q4_0:
            return "Q4_0";
        case LLAMA_FTYPE_MOSTLY_Q4_1:
            return "Q4_1";
        case LLAMA_FTYPE_MOSTLY_Q5_0:
            return "Q5_0";
        case LLAMA_FTYPE_MOSTLY_Q5_1:
            return "Q5_1";
        case LLAMA_FTYPE_MOSTLY_Q8_0:
            return "Q8_0";
        case LLAMA_FTYPE_MOSTLY_Q2_K:
            return "Q2_K";
        case LLAMA_FTYPE_MOSTLY_Q2_K_S:
            return "Q2_K_S";
        case LLAMA_FTYPE_MOSTLY_Q3_K_S:
            return "Q3_K_S";
        case LLAMA_FTYPE_MOSTLY_Q3_K_M:
            return "Q3_K_M";
        case LLAMA_FTYPE_MOSTLY_Q3_K_L:
            return "Q3_K_L";
        case LLAMA_FTYPE_MOSTLY_Q4_K_S:
            return "Q4_K_S";
        case LLAMA_FTYPE_MOSTLY_Q4_K_M:
            return "Q4_K_M";
        case LLAMA_FTYPE_MOSTLY_Q5_K_S:
            return "Q5_K_S";
        case LLAMA_FTYPE_MOSTLY_Q5_K_M:
            return "Q5_K_M";
        case LLAMA_FTYPE_MOSTLY_Q6_K:
            return "Q6_K";
        case LLAMA_FTYPE_MOSTLY_IQ1_S:
            return "IQ1_S";
        case LLAMA_FTYPE_MOSTLY_IQ1_M:
            return "IQ1_M";
        case LLAMA_FTYPE_MOSTLY_IQ2_XXS:
            return "IQ2_XXS";
        case LLAMA_FTYPE_MOSTLY_IQ2_XS:
            return "IQ2_XS";
        case LLAMA_FTYPE_MOSTLY_IQ2_S:
            return "IQ2_S";
        case LLAMA_FTYPE_MOSTLY_IQ2_M:
            return "IQ2_M";
        case LLAMA_FTYPE_MOSTLY_IQ3_XXS:
            return "IQ3_XXS";
        case LLAMA_FTYPE_MOSTLY_IQ3_XS:
            return "IQ3_XS";
        case LLAMA_FTYPE_MOSTLY_IQ3_S:
            return "IQ3_S";
        case LLAMA_FTYPE_MOSTLY_IQ3_M:
            return "IQ3_M";
        case LLAMA_FTYPE_MOSTLY_IQ4_NL:
            return "IQ4_NL";
        case LLAMA_FTYPE_MOSTLY_IQ4_XS:
            return "IQ4_XS";
        case LLAMA_FTYPE_MOSTLY_TQ1_0:
            return "TQ1_0";
        case LLAMA_FTYPE_MOSTLY_TQ2_0:
            return "TQ2_0";
        case LLAMA_FTYPE_MOSTLY_MXFP4_MOE:
            return "MXFP4_MOE";
        case LLAMA_FTYPE_MOSTLY_NVFP4:
            return "NVFP4";
        case LLAMA_FTYPE_MOSTLY_Q1_0:
            return "Q1_0";
        case LLAMA_FTYPE_MOSTLY_Q2_0:
            return "Q2_0";
        default:
            return "";
    }
}

bool is_float_type(const std::string & name) {
    const std::string type = upper(name);
    return type == "F32" || type == "F16" || type == "BF16";
}

}  // namespace shimmy::gguf
