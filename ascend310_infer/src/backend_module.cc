#include "inc/backend_module.h"

#include <dlfcn.h>

namespace ocrnet {
namespace {

Status OpenModule(const std::string& name, const Backend** out) {
  const std::string file = "libocrnet_" + name + ".so";
  // Opened once; another call gets the same. Never closed: the libraries have threads of their own.
  void* module = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* make = module != nullptr ? dlsym(module, "ocrnet_make_backend") : nullptr;
  if (make == nullptr) {
    const char* cause = dlerror();
    return Status::UserError("--backend " + name + " cannot be loaded: " + (cause != nullptr ? cause : file) +
                             "; build the program anew: ascend310_infer/src/build.sh");
  }
  static_assert(sizeof(make) == sizeof(&ocrnet_make_backend), "POSIX says so");
  *out = reinterpret_cast<decltype(&ocrnet_make_backend)>(make)();
  return Status::Ok();
}

}  // namespace

BackendSource BackendModule(const std::string& name) {
  return {name, [name](const Backend** out) { return OpenModule(name, out); }};
}

}  // namespace ocrnet
