// The interface between ggml and its backends, as far as this library fills it in: ggml-backend-impl.h, which
// llama.cpp's packages leave out and which changes every few weeks. GGML_MOE_API_VERSION says which one is built for;
// ggml loads a backend of its own version only. Members that stay empty have no type here.
// tests/unit/test_interface.cpp compares all this with the real header of the llama.cpp that is built with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml-backend.h"

#if !defined(GGML_MOE_API_VERSION) || GGML_MOE_API_VERSION < 2 || GGML_MOE_API_VERSION > 3
#error "GGML_MOE_API_VERSION: versions 2 (llama.cpp 0.5) and 3 (0.7) are known"
#endif

using ggml_moe_unused = void (*)();  // a member that is left null

struct ggml_backend_buffer_type_i {
    const char * (*get_name)(ggml_backend_buffer_type_t);
    ggml_backend_buffer_t (*alloc_buffer)(ggml_backend_buffer_type_t, size_t size);
#if GGML_MOE_API_VERSION >= 3
    ggml_moe_unused alloc_buffer_n;
#endif
    size_t (*get_alignment)(ggml_backend_buffer_type_t);
    ggml_moe_unused get_max_size;
    ggml_moe_unused get_alloc_size;
#if GGML_MOE_API_VERSION >= 3
    ggml_moe_unused get_alloc_size_n;
#endif
    bool (*is_host)(ggml_backend_buffer_type_t);
};

struct ggml_backend_buffer_type {
    ggml_backend_buffer_type_i iface;
    ggml_backend_dev_t device;
    void * context;
};

struct ggml_backend_buffer_i {
    void (*free_buffer)(ggml_backend_buffer_t);
    void * (*get_base)(ggml_backend_buffer_t);
    ggml_moe_unused init_tensor;
    void (*memset_tensor)(ggml_backend_buffer_t, ggml_tensor *, uint8_t value, size_t offset, size_t size);
    void (*set_tensor)(ggml_backend_buffer_t, ggml_tensor *, const void * data, size_t offset, size_t size);
    void (*get_tensor)(ggml_backend_buffer_t, const ggml_tensor *, void * data, size_t offset, size_t size);
    ggml_moe_unused set_tensor_2d, get_tensor_2d;
    bool (*cpy_tensor)(ggml_backend_buffer_t, const ggml_tensor * src, ggml_tensor * dst);
    void (*clear)(ggml_backend_buffer_t, uint8_t value);
    ggml_moe_unused reset;
};

struct ggml_backend_buffer {
    ggml_backend_buffer_i iface;
    ggml_backend_buffer_type_t buft;
    void * context;
    size_t size;
    enum ggml_backend_buffer_usage usage;
};

struct ggml_backend_i {
    const char * (*get_name)(ggml_backend_t);
    void (*free)(ggml_backend_t);
    ggml_moe_unused set_tensor_async, get_tensor_async, set_tensor_2d_async, get_tensor_2d_async, cpy_tensor_async;
    ggml_moe_unused synchronize;
    ggml_moe_unused graph_plan_create, graph_plan_free, graph_plan_update, graph_plan_compute;
    enum ggml_status (*graph_compute)(ggml_backend_t, ggml_cgraph *);
    ggml_moe_unused event_record, event_wait;
    ggml_moe_unused graph_optimize;
};

struct ggml_backend {
    ggml_guid_t guid;
    ggml_backend_i iface;
    ggml_backend_dev_t device;
    void * context;
};

struct ggml_backend_device_i {
    const char * (*get_name)(ggml_backend_dev_t);
    const char * (*get_description)(ggml_backend_dev_t);
    void (*get_memory)(ggml_backend_dev_t, size_t * free, size_t * total);
    enum ggml_backend_dev_type (*get_type)(ggml_backend_dev_t);
    void (*get_props)(ggml_backend_dev_t, ggml_backend_dev_props *);
    ggml_backend_t (*init_backend)(ggml_backend_dev_t, const char * params);
    ggml_backend_buffer_type_t (*get_buffer_type)(ggml_backend_dev_t);
    ggml_moe_unused get_host_buffer_type;
    ggml_backend_buffer_t (*buffer_from_host_ptr)(ggml_backend_dev_t, void * ptr, size_t size, size_t max_tensor_size);
    bool (*supports_op)(ggml_backend_dev_t, const ggml_tensor *);
    bool (*supports_buft)(ggml_backend_dev_t, ggml_backend_buffer_type_t);
    ggml_moe_unused offload_op;
    ggml_moe_unused event_new, event_free, event_synchronize;
};

struct ggml_backend_device {
    ggml_backend_device_i iface;
    ggml_backend_reg_t reg;
    void * context;
};

struct ggml_backend_reg_i {
    const char * (*get_name)(ggml_backend_reg_t);
    size_t (*get_device_count)(ggml_backend_reg_t);
    ggml_backend_dev_t (*get_device)(ggml_backend_reg_t, size_t index);
    void * (*get_proc_address)(ggml_backend_reg_t, const char * name);
};

struct ggml_backend_reg {
    int api_version;
    ggml_backend_reg_i iface;
    void * context;
};

extern "C" {
GGML_API ggml_backend_buffer_t ggml_backend_buffer_init(ggml_backend_buffer_type_t buft, ggml_backend_buffer_i iface,
                                                        void * context, size_t size);
}
