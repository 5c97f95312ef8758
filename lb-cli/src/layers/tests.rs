use super::*;

fn after(mut root: Value, path: &str, value: &str) -> Value {
    set(&mut root, &steps(path), literal(value)).unwrap();
    root
}

#[test]
fn sets_leaves_of_maps_and_lists() {
    let root =
        json!({ "pools": { "api": { "backends": ["http://a:1", { "url": "http://b:1" }] } } });
    let root = after(root, "pools.api.backends[1].weight", "3");
    let root = after(root, "pools.api.backends[2]", "http://c:1");
    let root = after(root, "server.threads", "2");
    assert_eq!(
        root,
        json!({
            "pools": { "api": { "backends": [
                "http://a:1", { "url": "http://b:1", "weight": 3 }, "http://c:1"
            ] } },
            "server": { "threads": 2 },
        })
    );
}

#[test]
fn a_gap_in_a_list_is_refused() {
    let mut root = json!({ "backends": [] });
    let error = set(&mut root, &steps("backends[1]"), Value::Null).unwrap_err();
    assert_eq!(error, "the list has 0 entries");
}

#[test]
fn variables_reach_hyphenated_names_and_leave_strangers_alone() {
    let variables = [
        ("LB_SERVICE_HOST", "10.0.0.1"),
        ("LB_CONFIG", "x.toml"),
        ("LB_POOLS__MY_POOL__ALGORITHM", "ip-hash"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let overrides = Overrides::of_variables(variables.into_iter());
    assert_eq!(overrides.settings.len(), 1);
    let mut root = json!({ "pools": { "my-pool": {} } });
    let setting = &overrides.settings[0];
    set(&mut root, &setting.path, setting.value.clone()).unwrap();
    assert_eq!(root["pools"]["my-pool"]["algorithm"], "ip-hash");
}

#[test]
fn a_flag_means_the_only_pool_and_never_guesses_between_two() {
    let flags = Flags {
        algorithm: Some("ip-hash".to_owned()),
        ..Flags::default()
    };
    let mut short = json!({ "listen": "127.0.0.1:0" });
    apply_flags(&mut short, &flags).unwrap();
    assert_eq!(short["algorithm"], "ip-hash");
    let mut one = json!({ "pools": { "api": {} } });
    apply_flags(&mut one, &flags).unwrap();
    assert_eq!(one["pools"]["api"]["algorithm"], "ip-hash");
    let mut two = json!({ "pools": { "api": {}, "web": {} } });
    let failure = apply_flags(&mut two, &flags).unwrap_err();
    assert!(failure.to_string().contains("api, web"), "{failure}");
}
