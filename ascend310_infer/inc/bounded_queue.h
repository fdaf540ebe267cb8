// A queue between two threads that holds no more than a fixed number of items.
#ifndef OCRNET_INC_BOUNDED_QUEUE_H_
#define OCRNET_INC_BOUNDED_QUEUE_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>

namespace ocrnet {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  // Waits for room. Returns false, and drops the item, once the queue was stopped.
  bool Push(T item) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return items_.size() < capacity_ || stopped_; });
    if (stopped_) return false;
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }

  // Waits for an item. Returns false once the queue was stopped, or closed and emptied.
  bool Pop(T* item) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !items_.empty() || closed_ || stopped_; });
    if (stopped_ || items_.empty()) return false;
    *item = std::move(items_.front());
    items_.pop_front();
    changed_.notify_all();
    return true;
  }

  // Says that nothing more will be pushed.
  void Close() { Set(&closed_); }

  // Wakes and turns away everybody: something failed.
  void Stop() { Set(&stopped_); }

 private:
  void Set(bool* flag) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *flag = true;
    changed_.notify_all();
  }

  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  bool closed_ = false;
  bool stopped_ = false;
};

}  // namespace ocrnet

#endif  // OCRNET_INC_BOUNDED_QUEUE_H_
