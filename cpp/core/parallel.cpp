#include "core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace hbm_fast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto poll_interval = std::chrono::milliseconds(50);
// Spin briefly before blocking: to block and to be woken takes tens of microseconds.
constexpr auto spin_time = std::chrono::microseconds(50);
constexpr auto thread_end_time = std::chrono::microseconds(8);  // what a thread takes to end after its last chunk

template <class Done>
void spin_until(Clock::time_point until, const Done& done) {
  while (!done() && Clock::now() < until) {
  }
}

std::size_t chunks_of(std::size_t n, std::size_t chunk) { return n / chunk + (n % chunk != 0 ? 1 : 0); }

}  // namespace

TimedPoll::TimedPoll(const Poll& poll) : poll_(poll), caller_(std::this_thread::get_id()), last_(Clock::now()) {}

void TimedPoll::operator()() {
  if (!poll_) return;
  if (std::this_thread::get_id() != caller_) {
    if (stopped_) throw Stopped{};
    return;
  }
  const auto now = Clock::now();
  if (now - last_ < poll_interval) return;
  last_ = now;
  try {
    poll_();
  } catch (...) {
    stopped_ = true;
    throw;
  }
}

std::size_t threads_for(std::size_t n, std::size_t chunk, int n_threads) {
  const std::size_t most = std::max<std::size_t>(chunks_of(n, std::max<std::size_t>(chunk, 1)), 1);
  return std::min(static_cast<std::size_t>(std::max(n_threads, 1)), most);
}

void parallel_for(std::size_t n, std::size_t chunk, int n_threads,
                  const std::function<void(std::size_t, std::size_t)>& body, const Poll& poll) {
  parallel_for_threads(
      n, chunk, n_threads, [&](std::size_t, std::size_t begin, std::size_t end) { body(begin, end); }, poll);
}

void parallel_for_threads(std::size_t n, std::size_t chunk, int n_threads,
                          const std::function<void(std::size_t, std::size_t, std::size_t)>& body, const Poll& poll) {
  if (n == 0) return;
  chunk = std::max<std::size_t>(chunk, 1);
  const std::size_t n_chunks = chunks_of(n, chunk);
  const std::size_t wanted = threads_for(n, chunk, n_threads);

  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // guards failure, and running while it falls
  std::condition_variable all_done;
  std::exception_ptr failure;
  std::atomic<std::size_t> running{0};
  Clock::time_point last_end;  // written before running falls

  const auto fail = [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!failure) failure = std::current_exception();
    stop = true;
  };
  // One at a time: some chunks may take much longer than others.
  const auto one_chunk = [&](std::size_t thread) {
    const std::size_t c = next.fetch_add(1);
    if (c >= n_chunks || stop) return false;
    try {
      body(thread, c * chunk, std::min(n, (c + 1) * chunk));
    } catch (const Stopped&) {
      return false;
    } catch (...) {
      fail();
      return false;
    }
    return true;
  };

  const auto finished = [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    last_end = Clock::now();
    if (--running == 0) all_done.notify_one();
  };
  std::vector<std::thread> threads;
  threads.reserve(wanted - 1);
  for (std::size_t t = 1; t < wanted; ++t) {
    ++running;
    try {
      threads.emplace_back([&, t] {
        while (one_chunk(t)) {
        }
        finished();
      });
    } catch (const std::system_error&) {  // thread limit reached: continue with the threads we have, to the same result
      finished();
      break;
    } catch (...) {  // out of memory; those that run must be waited for
      fail();
      finished();
      break;
    }
  }

  TimedPoll timed_poll(poll);
  const auto poll_if_due = [&] {
    if (stop) return;
    try {
      timed_poll();
    } catch (...) {
      fail();
    }
  };
  while (one_chunk(0)) poll_if_due();
  if (!threads.empty()) {  // no chunk is left
    const auto all_finished = [&] { return running == 0; };
    spin_until(Clock::now() + spin_time, all_finished);
    if (poll && !all_finished()) {  // stay interruptible while the others finish
      std::unique_lock<std::mutex> lock(mutex);
      while (!all_done.wait_for(lock, poll_interval, all_finished)) {
        lock.unlock();
        poll_if_due();
        lock.lock();
      }
    }
    if (all_finished()) spin_until(last_end + thread_end_time, [] { return false; });
    for (auto& thread : threads) thread.join();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace hbm_fast
