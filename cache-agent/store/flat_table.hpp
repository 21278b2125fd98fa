// Two containers that hold a million small things in little memory: a pool, whose elements keep their number, and an open-addressing
// table of such numbers. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace cistern::store {

// Numbers an element has none: the end of a chain, an empty place.
inline constexpr std::uint32_t kNone = 0xffffffff;

// Elements by number. Grows by chunks, so that growing never copies; numbers are used again.
template <class T>
class Pool {
 public:
  std::uint32_t add(T value) {
    if (free_.empty()) {
      const std::uint32_t id = end_;
      reach(id);
      (*this)[id] = std::move(value);
      return id;
    }
    const std::uint32_t id = free_.back();
    free_.pop_back();
    (*this)[id] = std::move(value);
    return id;
  }
  // For loading: puts an element at a number of the caller's choice. Numbers that were left out must be given to free_up() afterwards.
  void place(std::uint32_t id, T value) {
    reach(id);
    (*this)[id] = std::move(value);
  }
  void free_up(std::uint32_t id) {
    (*this)[id] = T{};
    free_.push_back(id);
  }
  std::uint32_t end() const { return end_; }
  T& operator[](std::uint32_t id) { return chunks_[id / kChunk][id % kChunk]; }
  const T& operator[](std::uint32_t id) const { return chunks_[id / kChunk][id % kChunk]; }

 private:
  static constexpr std::uint32_t kChunk = 4096;

  void reach(std::uint32_t id) {
    while (id / kChunk >= chunks_.size()) chunks_.push_back(std::make_unique<T[]>(kChunk));
    if (id >= end_) end_ = id + 1;
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t end_ = 0;
};

// Maps a tag (32 bits of a good hash) to numbers; the caller compares what the numbers stand for. Linear probing, at most 3/4 full.
class FlatTable {
 public:
  // The number with this tag for which `is(number)` holds, or kNone.
  template <class Is>
  std::uint32_t find(std::uint32_t tag, Is is) const {
    if (slots_.empty()) return kNone;
    for (std::size_t i = tag & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.id == kNone) return kNone;
      if (slot.tag == tag && is(slot.id)) return slot.id;
    }
  }
  void insert(std::uint32_t tag, std::uint32_t id) {
    if ((count_ + 1) * 4 > slots_.size() * 3) grow();
    put({id, tag});
    ++count_;
  }
  // `id` must be there.
  void erase(std::uint32_t tag, std::uint32_t id) {
    std::size_t hole = tag & mask();
    while (slots_[hole].id != id) hole = (hole + 1) & mask();
    // What follows moves up, unless it would come to lie before its own place.
    for (std::size_t i = (hole + 1) & mask(); slots_[i].id != kNone; i = (i + 1) & mask()) {
      const std::size_t home = slots_[i].tag & mask();
      if (((i - home) & mask()) >= ((i - hole) & mask())) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole] = {};
    --count_;
  }
  std::size_t size() const { return count_; }

 private:
  struct Slot {
    std::uint32_t id = kNone;
    std::uint32_t tag = 0;
  };

  std::size_t mask() const { return slots_.size() - 1; }
  void put(Slot slot) {
    std::size_t i = slot.tag & mask();
    while (slots_[i].id != kNone) i = (i + 1) & mask();
    slots_[i] = slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.id != kNone) put(slot);
    }
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

}  // namespace cistern::store
