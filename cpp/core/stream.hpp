// Addressed random streams: the bits of a draw depend on (key, site, dataset, group) alone. An address is hashed with
// SplitMix64's mixer (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195) into the state of a private xoshiro256++
// (Blackman & Vigna 2021, doi:10.1145/3460772).
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
  group = 4,  // the Polya urn, or the multinomial, of a group
  chain = 5,
  posterior_group = 6,
  predictive = 7,
  theta = 8,
  variate = 9,  // the plain variates of hbm_fast.dirichlet and hbm_fast.multinomial
};

// A bijection of the 64-bit words that leaves no visible structure.
inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

inline std::uint64_t splitmix(std::uint64_t x) { return mix(x + 0x9E3779B97F4A7C15u); }

// The hashed address of one group, or of one whole dataset (group 0): two words that walk apart by odd constants.
struct Address {
  std::uint64_t a;
  std::uint64_t b;

  // Every word passes through the mixer before the next one is added, so that two addresses meet only where two
  // 64-bit chains collide at once.
  static Address of(Key key, Site site, std::uint64_t dataset) {
    const std::uint64_t s = static_cast<std::uint64_t>(site) * 0x9E3779B97F4A7C15u;
    return {mix(mix(mix(key.high + s) ^ key.low) ^ dataset),
            mix(mix(mix(key.low + s + 0x632BE59BD9B4E019u) ^ key.high) + dataset * 0xD1B54A32D192ED03u)};
  }
  Address group(std::uint64_t n) const { return {a + n * 0xAEF17502108EF2D9u, b + n * 0xD1342543DE82EF95u}; }
  // For lanes inside one group: an address as far away as another dataset's.
  Address inside() const { return {mix(a), mix(b)}; }
};

class Stream {
 public:
  Stream(Key key, Site site, std::uint64_t dataset, std::uint64_t group = 0)
      : Stream(Address::of(key, site, dataset).group(group)) {}

  // The same words as the lanes of simulation/kernels.isa.cpp; the all-zero state is the one xoshiro cannot leave.
  explicit Stream(Address at)
      : state_{mix(at.a) | 1, mix(at.b), mix(at.a + 0x9E3779B97F4A7C15u), mix(at.b + 0x9E3779B97F4A7C15u)} {}

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

  // Uniform on the open interval (0, 1): 52 bits, at the centre of their cell, so that neither log(u) nor log(1-u)
  // is ever infinite.
  double uniform() { return (static_cast<double>(bits() >> 12) + 0.5) * 0x1.0p-52; }

 private:
  std::uint64_t state_[4];
};

}  // namespace hbm_fast
