// Small readers of ggml tensors.
#pragma once

#include <cstring>

#include "ggml.h"
#include "job.h"

namespace moe {

inline int32_t op_i32(const ggml_tensor * t, int i) {
    return t->op_params[i];
}
inline float op_f32(const ggml_tensor * t, int i) {
    float f;
    std::memcpy(&f, &t->op_params[i], sizeof f);
    return f;
}

// The row at these outer indices.
inline char * row_at(const ggml_tensor * t, int64_t i1, int64_t i2, int64_t i3) {
    return static_cast<char *>(t->data) + size_t(i1) * t->nb[1] + size_t(i2) * t->nb[2] + size_t(i3) * t->nb[3];
}

// The rows of a tensor; outer dimensions that lie one after another become one.
inline Rows rows_of(const ggml_tensor * t) {
    Rows r;
    r.data = static_cast<char *>(t->data);
    for (int i = 0; i < 3; ++i) {
        r.ne[i] = t->ne[i + 1];
        r.nb[i] = t->nb[i + 1];
    }
    for (int i = 0; i < 2; ++i) {
        if (r.ne[1] > 1 && r.nb[1] != size_t(r.ne[0]) * r.nb[0]) break;
        r.ne[0] *= r.ne[1];
        r.ne[1] = r.ne[2];
        r.nb[1] = r.nb[2];
        r.ne[2] = 1;
    }
    return r;
}

}  // namespace moe
