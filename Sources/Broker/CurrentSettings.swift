// SPDX-License-Identifier: Apache-2.0
//
// CurrentSettings.swift
// The settings of a broker that runs, and how it takes over others.

package import Settings

/// The settings as they are now, for requests; every shard has them.
package struct CurrentSettings: Sendable {
    /// With the place each was set in, for those who ask.
    package let resolved: ResolvedSettings
    /// As the broker uses them.
    package let typed: BrokerSettings

    package init(_ resolved: ResolvedSettings) {
        self.resolved = resolved
        self.typed = resolved.typed()
    }
}

extension Broker {
    /// Takes over changed settings; those that are not ``ReloadClass/live`` have to be as they were.
    ///
    /// Requests that arrive afterwards find them, on any loop within a turn of it.
    package func adopt(_ resolved: ResolvedSettings) {
        let current = CurrentSettings(resolved)
        for number in 0..<shards.count { shards.execute(on: number) { $0.settings = current } }
        withController { $0.adopt(current.typed) }
        withCoordinator { $0.adopt(GroupSettings(current.typed)) }
    }
}
