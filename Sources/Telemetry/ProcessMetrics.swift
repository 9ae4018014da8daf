// SPDX-License-Identifier: Apache-2.0
//
// ProcessMetrics.swift
// What the operating system knows about this process, read at each scrape.

public import Model

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The process's own metrics, under the names every Prometheus client library uses.
public enum ProcessMetrics {
    /// Registers memory, CPU, descriptors, start time, uptime and the build.
    public static func register(in registry: MetricRegistry, version: String, revision: String, clock: Clock) {
        registry.gauge("process_resident_memory_bytes", help: "Memory of the process that is in RAM.") {
            Double(residentBytes() ?? 0)
        }
        registry.gauge("process_virtual_memory_bytes", help: "Address space of the process.") {
            Double(virtualBytes() ?? 0)
        }
        registry.counter("process_cpu_seconds_total", help: "CPU time of all threads, user and system.") {
            cpuSeconds()
        }
        registry.gauge("process_open_fds", help: "File descriptors in use.") { Double(openDescriptors() ?? 0) }
        registry.gauge("process_max_fds", help: "File descriptors the process may have.") {
            Double(descriptorLimit() ?? 0)
        }
        let started = Double(clock.wallTime().milliseconds) / 1000
        registry.gauge("process_start_time_seconds", help: "When the process started, as Unix time.") { started }
        let startInstant = clock.now()
        registry.gauge("goulette_uptime_seconds", help: "Time since the broker started.") {
            Double(clock.now().nanoseconds(since: startInstant)) / 1e9
        }
        registry.gauge(
            "goulette_build_info", help: "Always 1; the labels name the build.",
            labels: ["version": version, "revision": revision]
        ) { 1 }
    }

    /// Bytes of memory in RAM; nil when the kernel does not tell.
    public static func residentBytes() -> Int? { pages(field: 1) }

    /// Bytes of address space; nil when the kernel does not tell.
    public static func virtualBytes() -> Int? { pages(field: 0) }

    /// Seconds of CPU time the process has used.
    public static func cpuSeconds() -> Double {
        var time = timespec()
        // The pointer lives only for the call.
        guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// File descriptors in use, without the one that counting needs.
    public static func openDescriptors() -> Int? {
        guard let directory = unsafe opendir("/proc/self/fd") else { return nil }
        // `directory` is open until here, and no other thread sees it.
        defer { unsafe closedir(directory) }
        var count = 0
        while unsafe readdir(directory) != nil { count += 1 }
        // ".", ".." and the descriptor of the directory itself.
        return max(0, count - 3)
    }

    /// The limit of file descriptors.
    public static func descriptorLimit() -> Int? {
        var limit = rlimit()
        // The pointer lives only for the call.
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return Int(clamping: limit.rlim_cur)
    }

    /// A field of /proc/self/statm, turned from pages into bytes.
    private static func pages(field: Int) -> Int? {
        guard let text = SmallFile.read("/proc/self/statm") else { return nil }
        let fields = text.split(separator: " ")
        guard field < fields.count, let pages = Int(fields[field]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
