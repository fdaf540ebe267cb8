// Back ends as modules: shared objects beside the program, each with one library, loaded when they are needed. A
// library takes up to half a second and 200 MB, which a run with the other one does not pay, and their symbols stay
// apart.
#ifndef OCRNET_INC_BACKEND_MODULE_H_
#define OCRNET_INC_BACKEND_MODULE_H_

#include <string>

#include "inc/engine.h"

// What each module exports: makes its back end, which lives as long as the process.
extern "C" ocrnet::Backend* ocrnet_make_backend();

namespace ocrnet {

// Returns the back end of the module libocrnet_NAME.so, which was built with this program.
BackendSource BackendModule(const std::string& name);

}  // namespace ocrnet

#endif  // OCRNET_INC_BACKEND_MODULE_H_
