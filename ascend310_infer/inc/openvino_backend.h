// OpenVINO, behind the interface of engine.h.
#ifndef OCRNET_INC_OPENVINO_BACKEND_H_
#define OCRNET_INC_OPENVINO_BACKEND_H_

#include <memory>

#include "inc/engine.h"

namespace ocrnet {

std::unique_ptr<Backend> MakeOpenvinoBackend();

}  // namespace ocrnet

#endif  // OCRNET_INC_OPENVINO_BACKEND_H_
