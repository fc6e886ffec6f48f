#include "lab/run/verify_made.h"

#include "base/error.h"
#include "gguf/model_info.h"

#include <map>

namespace shimmy::lab {

namespace {

template <typename T>
void require_equal(const Variant & variant, const std::string & what, const T & expected, const T & got) {
    if (expected == got) return;
    fail("{}: failed verification: {} is {}, expected {}", variant.path.string(), what, got, expected);
}

}  // namespace

void verify_made(const Variant & variant, const std::string & type, const InputInfo & input,
                 const engine::TensorPlan & plan) {
    const gguf::GgufFile file(variant.path);  // refuses a file that ends early
    const gguf::ModelInfo info = gguf::read_model_info(file);
    require_equal(variant, "the architecture", input.arch, info.arch);
    if (!type.empty()) require_equal(variant, "the quantization", type, info.quantization);
    require_equal(variant, "the number of layers", input.n_layer, static_cast<int>(info.n_layers));
    require_equal(variant, "the number of experts", input.n_expert, static_cast<int>(info.n_expert));
    require_equal(variant, "the number of tensors", plan.tensors.size(), file.tensors().size());
    std::map<std::string_view, const gguf::TensorInfo *> made;
    for (const gguf::TensorInfo & tensor : file.tensors())
        made[tensor.name] = &tensor;
    for (const engine::PlannedTensor & tensor : plan.tensors) {
        const auto found = made.find(tensor.name);
        require_equal<std::string>(variant, tensor.name, "present", found == made.end() ? "missing" : "present");
        require_equal(variant, "the type of " + tensor.name, tensor.type, found->second->type);
        require_equal(variant, "the shape of " + tensor.name, fmt::format("{}", fmt::join(tensor.shape, " x ")),
                      fmt::format("{}", fmt::join(found->second->shape, " x ")));
        require_equal(variant, "the size of " + tensor.name, tensor.bytes, found->second->bytes);
    }
}

}  // namespace shimmy::lab
