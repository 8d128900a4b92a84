// Addressed random streams: the bits of a draw depend on (key, site, dataset, group) alone. An address is hashed with
// SplitMix64 into the state of a private xoshiro256++ (Blackman & Vigna 2021, doi:10.1145/3460772).
#pragma once

#include <bit>
#include <cstdint>

namespace hbm_fast {

// Changes whenever a simulated bit changes; stored with results.
inline constexpr int stream_version = 1;

struct Key {
  std::uint64_t high;
  std::uint64_t low;
};

// What a stream is for: streams of different sites never meet.
enum class Site : std::uint64_t {
  hyperparameters = 1,
  n_groups = 2,
  total = 3,
  group = 4,
  chain = 5,
  posterior_group = 6,
  predictive = 7,
};

inline std::uint64_t splitmix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

class Stream {
 public:
  Stream(Key key, Site site, std::uint64_t dataset, std::uint64_t group = 0) {
    // Every word of the address passes through the full mixer before the next is added, so that no two addresses
    // share a state except by a 64-bit collision of the chain.
    std::uint64_t h = splitmix(key.high ^ static_cast<std::uint64_t>(site));
    h = splitmix(h ^ key.low);
    h = splitmix(h ^ dataset);
    h = splitmix(h ^ group);
    std::uint64_t g = splitmix(h ^ splitmix(key.low ^ splitmix(dataset ^ splitmix(group + 0x632BE59BD9B4E019u))));
    for (int i = 0; i < 4; i += 2) {
      state_[i] = splitmix(h += 0x9E3779B97F4A7C15u);
      state_[i + 1] = splitmix(g += 0xD1B54A32D192ED03u);
    }
    state_[0] |= 1;  // the all-zero state is the one that xoshiro cannot leave
  }

  std::uint64_t bits() {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform on the open interval (0, 1): 53 bits, at the centre of their cell, so that neither log(u) nor log(1-u)
  // is ever infinite.
  double uniform() { return (static_cast<double>(bits() >> 12) + 0.5) * 0x1.0p-52; }

 private:
  std::uint64_t state_[4];
};

}  // namespace hbm_fast
