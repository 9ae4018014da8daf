// SPDX-License-Identifier: Apache-2.0
//
// SystemClock.swift
// The only place that asks the operating system for the time.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Clock {
    /// The machine's monotonic and civil clocks.
    public static let system = Clock(
        instant: { Instant(nanoseconds: read(CLOCK_MONOTONIC)) },
        wallTime: { WallTime(milliseconds: Int64(read(CLOCK_REALTIME) / 1_000_000)) })

    /// Nanoseconds on `clock`.
    ///
    /// The two clocks used here always exist on Linux, so a failure is a broken invariant.
    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        // The pointer lives only for the call.
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0, "clock_gettime failed with errno \(errno)")
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
