// abi/interface.h against the real header.
#include "abi/interface.h"

#include <type_traits>

#include "ggml-alloc.h"
#include "ggml-cpu.h"

#define ggml_backend_buffer_init ggml_backend_buffer_init_of_theirs  // a function of C has no namespace
namespace theirs {
#include "ggml-backend-impl.h"
}
#undef ggml_backend_buffer_init

#define SAME(type, member)                                                    \
    static_assert(offsetof(type, member) == offsetof(theirs::type, member) && \
                      sizeof(type::member) == sizeof(theirs::type::member),   \
                  #type "::" #member " has moved")
#define SAME_TYPE(type, member)                                                           \
    SAME(type, member);                                                                   \
    static_assert(std::is_same_v<decltype(type::member), decltype(theirs::type::member)>, \
                  #type "::" #member " takes or returns something else")

static_assert(GGML_MOE_API_VERSION == GGML_BACKEND_API_VERSION);
static_assert(sizeof(ggml_backend_buffer_type) == sizeof(theirs::ggml_backend_buffer_type));
static_assert(sizeof(ggml_backend_buffer) == sizeof(theirs::ggml_backend_buffer));
static_assert(sizeof(ggml_backend) == sizeof(theirs::ggml_backend));
static_assert(sizeof(ggml_backend_device) == sizeof(theirs::ggml_backend_device));
static_assert(sizeof(ggml_backend_reg) == sizeof(theirs::ggml_backend_reg));

SAME_TYPE(ggml_backend_buffer_type_i, get_name);
SAME_TYPE(ggml_backend_buffer_type_i, alloc_buffer);
SAME_TYPE(ggml_backend_buffer_type_i, get_alignment);
SAME_TYPE(ggml_backend_buffer_type_i, is_host);
SAME(ggml_backend_buffer_type, device);
SAME_TYPE(ggml_backend_buffer_i, free_buffer);
SAME_TYPE(ggml_backend_buffer_i, get_base);
SAME_TYPE(ggml_backend_buffer_i, memset_tensor);
SAME_TYPE(ggml_backend_buffer_i, set_tensor);
SAME_TYPE(ggml_backend_buffer_i, get_tensor);
SAME_TYPE(ggml_backend_buffer_i, cpy_tensor);
SAME_TYPE(ggml_backend_buffer_i, clear);
SAME(ggml_backend_buffer, context);
SAME(ggml_backend_buffer, size);
SAME_TYPE(ggml_backend_i, get_name);
SAME_TYPE(ggml_backend_i, free);
SAME_TYPE(ggml_backend_i, graph_compute);
SAME(ggml_backend, guid);
SAME(ggml_backend, device);
SAME(ggml_backend, context);
SAME_TYPE(ggml_backend_device_i, get_name);
SAME_TYPE(ggml_backend_device_i, get_description);
SAME_TYPE(ggml_backend_device_i, get_memory);
SAME_TYPE(ggml_backend_device_i, get_type);
SAME_TYPE(ggml_backend_device_i, get_props);
SAME_TYPE(ggml_backend_device_i, init_backend);
SAME_TYPE(ggml_backend_device_i, get_buffer_type);
SAME_TYPE(ggml_backend_device_i, buffer_from_host_ptr);
SAME_TYPE(ggml_backend_device_i, supports_op);
SAME_TYPE(ggml_backend_device_i, supports_buft);
SAME(ggml_backend_device, reg);
SAME_TYPE(ggml_backend_reg_i, get_name);
SAME_TYPE(ggml_backend_reg_i, get_device_count);
SAME_TYPE(ggml_backend_reg_i, get_device);
SAME_TYPE(ggml_backend_reg_i, get_proc_address);
SAME(ggml_backend_reg, api_version);
SAME(ggml_backend_reg, context);
