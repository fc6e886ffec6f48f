// What a model can be asked with beside text.
#pragma once

#include "base/json.h"
#include "serve/pool/model_pool.h"

namespace shimmy::serve {

// ["text"], with "image" and "audio" where its projector reads them. Of a model that is not loaded, a projector is
// taken for one that reads images.
Json input_modalities(const ModelStatus & status);

}  // namespace shimmy::serve
