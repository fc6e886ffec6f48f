// What a model is doing, and what it holds at this moment: a cache of experts takes memory after the load.
#pragma once

#include "base/json.h"
#include "serve/pool/model_pool.h"

#include <string>
#include <vector>

namespace shimmy::serve {

// What `route` of the model's process says. Empty where it ends meanwhile: these are looks from outside.
std::string ask(const Lease & model, const char * route, const Request & request);

// As it was loaded where the model's process ends meanwhile.
wire::ExpertsNow experts_now(const Lease & model, const Request & request);

// ModelPool's, with the memory of now.
std::vector<ModelStatus> list_now(ModelPool & pool, const Request & request);
ModelStatus status_now(ModelPool & pool, const std::string & name, const Request & request);

// {"name", "state", …} of GET /api/models/NAME/status.
Json status_document(const ModelStatus & status);

}  // namespace shimmy::serve
