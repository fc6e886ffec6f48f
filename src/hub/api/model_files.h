// Which files of a repository are a model of a certain quantization, told by their names.
#pragma once

#include <string>
#include <vector>

namespace shimmy::hub {

// The GGUF models among the files of a repository: the first file of each, "folder/Model-Q4_K_M-00001-of-00002.gguf".
// Files that hold no language model (mmproj-*, *imatrix*) are left out.
std::vector<std::string> models_among(const std::vector<std::string> & paths);

// True if the file's name holds the quantization: "Model-UD-Q4_K_M.gguf" holds Q4_K_M, "Model-Q4_K_M.gguf" not Q4_K.
bool names_quantization(const std::string & file, const std::string & quantization);

// The one that holds `quantization`. Without such a file, the F32, F16 or BF16 one that it can be made from. Throws
// Error that lists what is there.
std::string choose_model(const std::vector<std::string> & models, const std::string & quantization,
                         const std::string & repo);

// The one that holds `quantization` itself; "" if there is one model only. Throws Error that lists what is there.
std::string choose_exact_model(const std::vector<std::string> & models, const std::string & quantization,
                               const std::string & repo);

// Every part of the model whose first file this is, in order.
std::vector<std::string> parts_of(const std::string & first);

}  // namespace shimmy::hub
