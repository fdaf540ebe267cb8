#include "inc/stages.h"

#include "inc/files.h"
#include "inc/mask_png.h"

namespace ocrnet {

Status SampleReader::Read(size_t index, void* sample, AnswerSize* size) {
  const Sample& wanted = job_.dataset.samples[index];
  if (job_.dataset.is_binary) {
    *size = {wanted.height, wanted.width};
    return ReadExactly(wanted.path, job_.manifest.input.sample_bytes(), sample);
  }
  OCRNET_RETURN_IF_ERROR(pictures_.Read(wanted.path, &picture_));
  *size = {picture_.height, picture_.width};
  preprocessor_.Run(picture_, sample);
  return Status::Ok();
}

Status ResultWriter::Write(size_t index, const void* output, AnswerSize size) {
  const std::string path = JoinPath(folder_, ResultFile(job_.dataset.samples[index].name, job_.kind));
  if (job_.kind == ResultKind::kLogits) {
    return WriteFileAtomically(path, output, job_.manifest.output.sample_bytes());
  }
  labels_.resize(static_cast<size_t>(size.height * size.width));
  label_maker_.Run(output, size.height, size.width, labels_.data());
  if (job_.kind == ResultKind::kLabels) return WriteFileAtomically(path, labels_.data(), labels_.size());
  const MaskImage mask = {labels_.data(), size.height, size.width};
  OCRNET_RETURN_IF_ERROR(EncodeMask(mask, job_.manifest.palette, job_.manifest.ignore_label, &png_).At(path));
  return WriteFileAtomically(path, png_.data(), png_.size());
}

}  // namespace ocrnet
