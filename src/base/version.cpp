#include "base/version.h"

namespace shimmy {

const char * shimmy_version() {
    return SHIMMY_VERSION;
}

}  // namespace shimmy
