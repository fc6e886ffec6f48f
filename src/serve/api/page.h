// The page at "/", where a person chats with the models and watches the experts. One file without
// anything from elsewhere, so that it works offline.
#pragma once

#include "serve/http/front.h"

namespace shimmy::serve {

void add_page(HttpFront & front);

}  // namespace shimmy::serve
