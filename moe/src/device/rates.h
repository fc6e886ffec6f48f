// What this machine can do, measured once and kept: uploads to a GPU, and our own products.
#pragma once

#include <string>

typedef struct ggml_backend_device * ggml_backend_dev_t;

namespace moe {

// Bytes per second into the memory of this device, from memory that is not pinned, as a mapped file is.
double upload_bytes_per_s(ggml_backend_dev_t dev);

// The name that this figure is kept by. Homes are shared by machines, so it says which processor measured.
std::string upload_name(ggml_backend_dev_t dev);

// Multiply-accumulates per second in products of 4-bit weights with many rows, on all processors of the process.
double own_macs_per_s();

// Whether these arguments of a program, each ended by a zero byte, tell llama.cpp not to upload weights.
bool options_turn_offload_off(const std::string & arguments);

// Measured figures by name, in a file: $XDG_CACHE_HOME/ggml-moe/rates or ~/.cache/ggml-moe/rates. Where it cannot be
// read or written, figures are measured once in each process.
//
// A figure that was measured while the machine was busy is too low, by any factor, and never too high. So the highest
// counts, and a figure is measured by one process after another until two of them agree.
class Rates {
public:
    explicit Rates(std::string file);
    static std::string default_file();           // "" if the environment names no home
    double get(const std::string & name) const;  // 0 if it is not there
    bool is_final(const std::string & name) const;
    // Keeps the higher of this and what is there, and returns it. It is final if the two are within 30% of each other.
    double keep(const std::string & name, double measured) const;

private:
    std::string rest_of_line(const std::string & name) const;  // after the name; empty if it is not there
    void write(const std::string & name, double value, bool is_final) const;

    std::string file_;
};

}  // namespace moe
