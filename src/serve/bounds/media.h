// Pictures and sounds in requests, before any decoder sees them.
#pragma once

#include "base/json.h"

namespace shimmy::serve {

// Of "messages" or "input", in the form of any API. Throws HttpError 400 that names the member: for what is not in the
// request itself (this server fetches nothing), for what is neither a picture nor a sound that can be decoded here, and
// for pictures that are too many, or too large when they are decoded.
void require_media(const Json & request);

}  // namespace shimmy::serve
