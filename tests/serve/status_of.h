// What a check says of a request, as the status that its client gets.
#pragma once

#include "serve/http/http_error.h"

namespace shimmy::serve {

template <typename Check>
int status_of(const Check & check) {
    try {
        check();
        return 200;
    } catch (const HttpError & error) {
        return error.status();
    }
}

}  // namespace shimmy::serve
