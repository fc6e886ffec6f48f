#include "engine/device/modelled_device.h"

#include "ggml-backend-impl.h"
#include "ggml.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>

namespace shimmy::engine {

namespace {

constexpr const char * NAME = "CUDA-modelled";  // of the first card; the others add their number
constexpr const char * HOST_NAME = "CUDA-modelled_Host";
constexpr size_t ALIGNMENT_BYTES = 128;
constexpr int64_t ROW_PADDING = 512;            // MATRIX_ROW_PADDING
constexpr int64_t OFFLOAD_MIN_BATCH_SIZE = 32;  // GGML_OP_OFFLOAD_MIN_BATCH's default

// A card with what ggml asks it for. They live as long as the program.
struct Card {
    std::string name;
    ggml_backend_device device{};
    ggml_backend_buffer_type buffer_type{};
};

Card & card_of(ggml_backend_dev_t device) {
    return *static_cast<Card *>(device->context);
}

const char * buffer_type_name(ggml_backend_buffer_type_t type) {
    return card_of(type->device).name.c_str();
}

void free_nothing(ggml_backend_buffer_t /*buffer*/) {}

// Addresses that are never followed.
void * base_address(ggml_backend_buffer_t /*buffer*/) {
    return reinterpret_cast<void *>(uintptr_t{1} << 32U);
}

void set_nothing(ggml_backend_buffer_t /*buffer*/, ggml_tensor * /*tensor*/, const void * /*data*/, size_t /*offset*/,
                 size_t /*n_bytes*/) {}

void get_nothing(ggml_backend_buffer_t /*buffer*/, const ggml_tensor * /*tensor*/, void * /*data*/, size_t /*offset*/,
                 size_t /*n_bytes*/) {}

void clear_nothing(ggml_backend_buffer_t /*buffer*/, uint8_t /*value*/) {}

// The state of recurrent layers is allocated even in loads that allocate nothing: the size is real, and nothing else.
ggml_backend_buffer_t alloc_buffer(ggml_backend_buffer_type_t type, size_t n_bytes) {
    ggml_backend_buffer_i interface {};
    interface.free_buffer = free_nothing;
    interface.get_base = base_address;
    interface.set_tensor = set_nothing;
    interface.get_tensor = get_nothing;
    interface.clear = clear_nothing;
    return ggml_backend_buffer_init(type, interface, nullptr, n_bytes);
}

// CUDA's pinned memory on the host. Weights that stay on the CPU lie here rather than in repacked memory, so that big
// batches can be computed on the GPU from it: the compute buffer holds room for the largest such weight.
const char * host_buffer_type_name(ggml_backend_buffer_type_t /*type*/) {
    return HOST_NAME;
}

ggml_backend_buffer_t alloc_host_buffer(ggml_backend_buffer_type_t type, size_t n_bytes) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), n_bytes);
    if (buffer != nullptr) buffer->buft = type;
    return buffer;
}

ggml_backend_buffer_type_t host_buffer_type() {
    static ggml_backend_buffer_type type = [] {
        ggml_backend_buffer_type result = *ggml_backend_cpu_buffer_type();
        result.iface.get_name = host_buffer_type_name;
        result.iface.alloc_buffer = alloc_host_buffer;
        result.device = modelled_cuda_device(0);
        return result;
    }();
    return &type;
}

size_t alignment(ggml_backend_buffer_type_t /*type*/) {
    return ALIGNMENT_BYTES;
}

size_t alloc_size(ggml_backend_buffer_type_t /*type*/, const ggml_tensor * tensor) {
    const int64_t rest = tensor->ne[0] % ROW_PADDING;
    const bool padded = ggml_is_quantized(tensor->type) && rest != 0;
    return ggml_nbytes(tensor) + (padded ? ggml_row_size(tensor->type, ROW_PADDING - rest) : 0);
}

const char * backend_name(ggml_backend_t backend) {
    return card_of(backend->device).name.c_str();
}

void free_backend(ggml_backend_t backend) {
    delete backend;
}

ggml_status compute(ggml_backend_t /*backend*/, ggml_cgraph * /*graph*/) {
    return GGML_STATUS_FAILED;
}

const char * device_name(ggml_backend_dev_t device) {
    return card_of(device).name.c_str();
}

const char * device_description(ggml_backend_dev_t /*device*/) {
    return "a CUDA card as llama.cpp would use it, modelled";
}

void device_memory(ggml_backend_dev_t /*device*/, size_t * free_bytes, size_t * total_bytes) {
    *free_bytes = *total_bytes = std::numeric_limits<size_t>::max() / 2;
}

enum ggml_backend_dev_type device_type(ggml_backend_dev_t /*device*/) {
    return GGML_BACKEND_DEVICE_TYPE_GPU;
}

void device_props(ggml_backend_dev_t device, ggml_backend_dev_props * props) {
    *props = {};
    props->name = device_name(device);
    props->description = device_description(device);
    props->type = GGML_BACKEND_DEVICE_TYPE_GPU;
    device_memory(device, &props->memory_free, &props->memory_total);
    props->caps.async = true;
    props->caps.host_buffer = true;
    props->caps.events = true;
    props->caps.mmap_support = true;
}

ggml_backend_t init_backend(ggml_backend_dev_t device, const char * /*params*/) {
    static ggml_guid guid{'s', 'h', 'i', 'm', 'm', 'y', '-', 'c', 'u', 'd', 'a', 'm', 'o', 'd', 'e', 'l'};
    ggml_backend_i interface {};
    interface.get_name = backend_name;
    interface.free = free_backend;
    interface.graph_compute = compute;
    return new ggml_backend{&guid, interface, device, nullptr};
}

ggml_backend_buffer_type_t device_buffer_type(ggml_backend_dev_t device) {
    return &card_of(device).buffer_type;
}

ggml_backend_buffer_type_t device_host_buffer_type(ggml_backend_dev_t /*device*/) {
    return host_buffer_type();
}

bool supports_op(ggml_backend_dev_t /*device*/, const ggml_tensor * /*op*/) {
    return true;
}

bool supports_buffer_type(ggml_backend_dev_t device, ggml_backend_buffer_type_t type) {
    return type == &card_of(device).buffer_type;
}

int64_t batch_size(const ggml_tensor * op) {
    switch (op->op) {
        case GGML_OP_GET_ROWS:
            return 0;
        case GGML_OP_MUL_MAT:
            return op->ne[1];
        case GGML_OP_MUL_MAT_ID:
        case GGML_OP_ROPE:
            return op->ne[2];
        default:
            return ggml_nrows(op);
    }
}

bool offload_op(ggml_backend_dev_t /*device*/, const ggml_tensor * op) {
    return batch_size(op) >= OFFLOAD_MIN_BATCH_SIZE;
}

size_t device_count(ggml_backend_reg_t /*registry*/) {
    return MAX_CARDS;
}

ggml_backend_dev_t device_at(ggml_backend_reg_t /*registry*/, size_t index) {
    return modelled_cuda_device(index);
}

const char * registry_name(ggml_backend_reg_t /*registry*/) {
    return NAME;
}

void * no_extensions(ggml_backend_reg_t /*registry*/, const char * /*name*/) {
    return nullptr;
}

void describe_device(Card & card, ggml_backend_reg_t registry) {
    ggml_backend_device_i & device = card.device.iface;
    device.get_name = device_name;
    device.get_description = device_description;
    device.get_memory = device_memory;
    device.get_type = device_type;
    device.get_props = device_props;
    device.init_backend = init_backend;
    device.get_buffer_type = device_buffer_type;
    device.get_host_buffer_type = device_host_buffer_type;
    device.supports_op = supports_op;
    device.supports_buft = supports_buffer_type;
    device.offload_op = offload_op;
    card.device.reg = registry;
    card.device.context = &card;
}

void describe_buffer_type(Card & card) {
    ggml_backend_buffer_type_i & type = card.buffer_type.iface;
    type.get_name = buffer_type_name;
    type.alloc_buffer = alloc_buffer;
    type.get_alignment = alignment;
    type.get_alloc_size = alloc_size;
    card.buffer_type.device = &card.device;
}

}  // namespace

ggml_backend_dev_t modelled_cuda_device(size_t card) {
    static ggml_backend_reg registry{
        GGML_BACKEND_API_VERSION, {registry_name, device_count, device_at, no_extensions}, nullptr};
    static std::array<Card, MAX_CARDS> cards;
    static const bool described = [] {
        for (size_t i = 0; i < cards.size(); ++i) {
            cards[i].name = i == 0 ? NAME : fmt::format("{}-{}", NAME, i + 1);
            describe_device(cards[i], &registry);
            describe_buffer_type(cards[i]);
        }
        return true;
    }();
    (void)described;
    return &cards.at(card).device;
}

}  // namespace shimmy::engine
