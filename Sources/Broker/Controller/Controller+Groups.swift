// SPDX-License-Identifier: Apache-2.0
//
// Controller+Groups.swift
// Configuring consumer groups and share groups: every check, then one command.

import KafkaProtocol
import Model
import Settings

extension Controller {
    /// Changes what is set on a group, which need not exist, and answers when this broker serves it.
    ///
    /// Changes of one group come one after the other, so that none is lost which was made at the same time.
    package func configureGroup(
        _ group: String, _ changes: [ConfigChange], replacing: Bool, validateOnly: Bool,
        actor: String = clientActor, then: @escaping Done
    ) {
        if configuring[group] != nil {
            configuring[group]?.append { [self] in
                configureGroup(
                    group, changes, replacing: replacing, validateOnly: validateOnly, actor: actor, then: then)
            }
            return
        }
        let configuration: GroupConfiguration
        do throws(AdminRefusal) {
            guard isLeading else { throw notController }
            let start = replacing ? [:] : state.groupConfigurations[group] ?? [:]
            configuration = try checkGroupConfiguration(ConfigChange.apply(changes, to: start, of: .group))
            try checkRoom(forConfigurationOf: group, isEmpty: configuration.overrides.isEmpty)
        } catch {
            return refuse(error, then: then)
        }
        if validateOnly { return then(nil) }
        configuring[group] = []
        propose(.configureGroup(group, configuration.overrides), actor: actor) { [self] refusal, _ in
            let waiting = configuring.removeValue(forKey: group) ?? []
            if let refusal { then(refusal) } else { whenServed { then(nil) } }
            for next in waiting { next() }
        }
    }

    private func checkGroupConfiguration(_ overrides: [String: String]) throws(AdminRefusal) -> GroupConfiguration {
        do {
            return try GroupConfiguration(checking: overrides, settings: settings)
        } catch {
            throw AdminRefusal(.invalidConfig, "\(error)")
        }
    }

    private func checkRoom(forConfigurationOf group: String, isEmpty: Bool) throws(AdminRefusal) {
        guard !isEmpty, state.groupConfigurations[group] == nil else { return }
        let underWay = configuring.keys.count { state.groupConfigurations[$0] == nil }
        guard state.groupConfigurations.count + underWay < settings.groups.maxConfigurations else {
            throw AdminRefusal(
                .policyViolation,
                "The limit of \(settings.groups.maxConfigurations) groups with configurations is reached")
        }
    }
}
