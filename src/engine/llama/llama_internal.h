// Internal to the engine: a function that llama.cpp exports and declares only in a private header.
#pragma once

#include <string>
#include <utility>
#include <vector>

struct ggml_tensor;
struct llama_model;

// Every weight of a model with its tensor, whose buffer tells where it lies (llama.cpp, src/llama-model.h).
const std::vector<std::pair<std::string, ggml_tensor *>> & llama_internal_get_tensor_map(const llama_model * model);
