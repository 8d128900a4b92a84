// parallel_for: every index once, exceptions from bodies and from poll, nothing left behind.
#include "core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/check.hpp"

// What this thread may still allocate; below 0 there is no limit.
thread_local int allocations_left = -1;

void* operator new(std::size_t size) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using hbm_fast::parallel_for;
using hbm_fast::parallel_for_threads;

namespace {

void every_index_once() {
  for (const std::size_t n : {0, 1, 2, 63, 64, 65, 10007}) {
    for (const std::size_t chunk : {0, 1, 7, 64, 20000}) {
      for (const int n_threads : {-1, 0, 1, 2, 7, 200}) {
        std::vector<int> visits(n, 0);  // chunks are disjoint: a data race here would be parallel_for's
        std::atomic<bool> well_formed{true};
        parallel_for(n, chunk, n_threads, [&](std::size_t begin, std::size_t end) {
          if (begin >= end || end > n || end - begin > std::max<std::size_t>(chunk, 1)) well_formed = false;
          for (std::size_t i = begin; i < end; ++i) ++visits[i];
        });
        bool once = true;
        for (const int count : visits) once &= count == 1;
        CHECK(once);
        CHECK(well_formed);
      }
    }
  }
}

// The chunks are cut by size alone, so a reduction per chunk cannot depend on the threads.
void chunks_do_not_depend_on_threads() {
  const std::size_t n = 1000;
  std::vector<std::vector<std::size_t>> ends;
  for (const int n_threads : {1, 2, 8}) {
    std::vector<std::size_t> end_of(n, 0);
    parallel_for(n, 33, n_threads, [&](std::size_t begin, std::size_t end) { end_of[begin] = end; });
    ends.push_back(end_of);
  }
  CHECK(ends[0] == ends[1]);
  CHECK(ends[0] == ends[2]);
}

// What a thread keeps needs no lock: no two calls with one number overlap (the thread sanitizer would tell).
void threads_have_numbers_of_their_own() {
  const std::size_t n = 1000;
  for (const int n_threads : {-1, 1, 2, 8, 1'000'000}) {
    std::vector<std::size_t> sums(hbm_fast::threads_for(n, 7, n_threads), 0);
    CHECK(sums.size() == (n_threads == 1'000'000 ? 143u : static_cast<std::size_t>(std::max(n_threads, 1))));
    parallel_for_threads(n, 7, n_threads, [&](std::size_t thread, std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) sums.at(thread) += i;
    });
    std::size_t sum = 0;
    for (const std::size_t of_thread : sums) sum += of_thread;
    CHECK(sum == n * (n - 1) / 2);
  }
}

// The first chunk ends after all others: were one of them kept for the same thread, it would wait for itself.
void a_long_chunk_holds_up_no_other() {
  constexpr int n = 32;
  std::atomic<int> done{0};
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  parallel_for(n, 1, 2, [&](std::size_t begin, std::size_t) {
    while (begin == 0 && done < n - 1 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
    if (begin == 0) CHECK(done == n - 1);
    ++done;
  });
  CHECK(done == n);
}

void an_exception_of_a_body_comes_back() {
  for (const int n_threads : {1, 2, 8}) {
    std::atomic<int> chunks{0};
    std::string message;
    try {
      parallel_for(100000, 1, n_threads, [&](std::size_t begin, std::size_t) {
        ++chunks;
        if (begin == 17) throw std::runtime_error("chunk 17");
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(message == "chunk 17");
    if (n_threads == 1) CHECK(chunks == 18);  // the rest is not begun
  }
}

void no_body_runs_after_the_call_has_thrown() {
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::atomic<int> running{0};
    const auto body = [&](std::size_t begin, std::size_t) {
      ++running;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      --running;
      if (begin % 2 == 0) throw 1;  // many throw; one arrives
    };
    CHECK(check::throws<int>([&] { parallel_for(1000, 1, 8, body); }));
    CHECK(running == 0);
  }
}

void poll_runs_on_the_calling_thread_and_stops_the_work() {
  for (const int n_threads : {1, 2, 4}) {
    const auto caller = std::this_thread::get_id();
    std::atomic<bool> elsewhere{false};
    std::atomic<int> chunks{0};
    const auto body = [&](std::size_t, std::size_t) {
      ++chunks;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    const auto poll = [&] {
      if (std::this_thread::get_id() != caller) elsewhere = true;
      throw std::logic_error("interrupt");
    };
    CHECK(check::throws<std::logic_error>([&] { parallel_for(100000, 1, n_threads, body, poll); }));
    CHECK(!elsewhere);
    CHECK(chunks < 100000);
  }
}

// The caller has no chunk left and waits for one that takes long: it must still poll.
void poll_runs_while_others_finish() {
  std::atomic<bool> interrupted{false};
  const auto caller = std::this_thread::get_id();
  const auto body = [&](std::size_t, std::size_t) {
    if (std::this_thread::get_id() == caller) return;
    while (!interrupted) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const auto poll = [&] {
    interrupted = true;
    throw std::logic_error("interrupt");
  };
  const bool stopped = check::throws<std::logic_error>([&] { parallel_for(2, 1, 2, body, poll); });
  CHECK(stopped == interrupted);  // where the calling thread took both chunks there was nothing to wait for
}

// The memory runs out before the first thread, and before each of the others.
void no_memory_for_a_thread() {
  const std::function<void(std::size_t, std::size_t)> body = [](std::size_t, std::size_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  };
  int refused = 0;
  for (int most = 0; most < 40; ++most) {
    allocations_left = most;
    refused += check::throws<std::bad_alloc>([&] { parallel_for(1000, 1, 8, body); });
    allocations_left = -1;
  }
  CHECK(refused >= 8);  // seven threads are started
  CHECK(refused < 40);
}

// A body polls inside its chunk; the bodies of the other threads stop once that has thrown.
void a_long_chunk_polls() {
  for (const int n_threads : {1, 2, 4}) {
    const hbm_fast::Poll poll = [] { throw std::logic_error("interrupt"); };
    hbm_fast::TimedPoll timed_poll(poll);
    const auto body = [&](std::size_t, std::size_t) {
      for (;;) timed_poll();
    };
    CHECK(check::throws<std::logic_error>([&] { parallel_for(8, 1, n_threads, body, [&] { timed_poll(); }); }));
  }
}

void one_chunk_starts_no_thread() {
  const auto caller = std::this_thread::get_id();
  bool here = false;
  parallel_for(10, 10, 8, [&](std::size_t, std::size_t) { here = std::this_thread::get_id() == caller; });
  CHECK(here);
}

void calls_nest_and_run_side_by_side() {
  std::atomic<std::uint64_t> sum{0};
  parallel_for(8, 1, 4, [&](std::size_t begin, std::size_t) {
    parallel_for(100, 3, 3, [&](std::size_t b, std::size_t e) {
      for (std::size_t i = b; i < e; ++i) sum += begin * 100 + i;
    });
  });
  CHECK(sum == 799 * 800 / 2);
}

}  // namespace

int main() {
  every_index_once();
  chunks_do_not_depend_on_threads();
  threads_have_numbers_of_their_own();
  a_long_chunk_holds_up_no_other();
  an_exception_of_a_body_comes_back();
  no_body_runs_after_the_call_has_thrown();
  poll_runs_on_the_calling_thread_and_stops_the_work();
  poll_runs_while_others_finish();
  no_memory_for_a_thread();
  a_long_chunk_polls();
  one_chunk_starts_no_thread();
  calls_nest_and_run_side_by_side();
  return check::report();
}
