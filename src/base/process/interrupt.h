// Ctrl-C and SIGTERM as a flag that long work looks at, so that destructors run and partial files go away.
#pragma once

namespace shimmy {

// Installs the handlers. A second signal half a second or more after the first ends the process at once.
void install_interrupt_handler();

bool interrupted();

// What the signal asked for is done, and the program goes on: a chat whose answer was to stop.
void clear_interrupt();

// Throws Interrupted if a signal came.
void check_interrupted();

}  // namespace shimmy
