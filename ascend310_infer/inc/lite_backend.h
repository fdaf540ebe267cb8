// MindSpore Lite, behind the interface of engine.h.
#ifndef OCRNET_INC_LITE_BACKEND_H_
#define OCRNET_INC_LITE_BACKEND_H_

#include <memory>

#include "inc/engine.h"

namespace ocrnet {

std::unique_ptr<Backend> MakeLiteBackend();

}  // namespace ocrnet

#endif  // OCRNET_INC_LITE_BACKEND_H_
