// On Windows no file is found behind a mapping: the system reads mapped experts by itself, and nothing below is ever
// called.
#include "model_file.h"

namespace moe {

std::shared_ptr<ModelFile> ModelFile::at(const void *) {
    return nullptr;
}

ModelFile::~ModelFile() = default;

bool ModelFile::became_shorter() const {
    return false;
}

uint64_t ModelFile::offset_of(const void *) const {
    return 0;
}

std::vector<ModelFile::Tensor> ModelFile::tensors() const {
    return {};
}

int ModelFile::read(uint64_t, uint64_t, uint8_t *) const {
    return TOO_SHORT;
}

void ModelFile::drop(uint64_t, uint64_t) const {}

}  // namespace moe
