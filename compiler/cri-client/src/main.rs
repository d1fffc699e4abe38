//! Asks an engine for pods through its CRI socket, as the kubelet does.
//!
//! `cri-client SOCKET start` reads a [`Pod`] from its input, starts it with one container, and prints the ids of both.
//! `cri-client SOCKET ready` fails until the engine takes requests. `cri-client SOCKET exec CONTAINER WORDS…` prints what a command says in it. `cri-client SOCKET remove POD` ends it.
//! Whatever the engine says no to is printed as it says it, and the program exits with 1.

mod messages;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;

use messages::{
    ContainerConfig, ContainerMetadata, ContainerSecurityContext, CreateContainer, Device, ExecSync, Id,
    ImageSpec, KeyValue, LinuxContainerConfig, LinuxPodSandboxConfig, NamespaceOption, Nothing,
    PodSandboxConfig, PodSandboxMetadata, RunPodSandbox, Said, SandboxSecurityContext,
};
use prost::Message;
use serde::Deserialize;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// A pod with one container.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pod {
    namespace: String,
    name: String,
    /// The handler that its RuntimeClass would name; empty: the engine's default.
    #[serde(default)]
    handler: String,
    image: String,
    cgroup_parent: String,
    logs: String,
    command: Vec<String>,
    /// Annotations of the pod.
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Nodes that a device plugin has allocated.
    #[serde(default)]
    devices: Vec<String>,
    #[serde(default)]
    privileged: bool,
    #[serde(default)]
    host_pid: bool,
}

/// No CNI plugin is asked: pods have the host's network.
const NODE: i32 = 2;

fn main() -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    match runtime.block_on(run(&std::env::args().skip(1).collect::<Vec<_>>())) {
        Ok(code) => code,
        Err(status) => {
            eprintln!("{}", status.message());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<ExitCode, Status> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [socket, verb, rest @ ..] = words.as_slice() else { panic!("SOCKET and a verb") };
    let endpoint = Endpoint::from_shared(format!("unix://{socket}")).expect("a path");
    let channel =
        endpoint.connect().await.map_err(|error| Status::unavailable(format!("{socket}: {error:?}")))?;
    let mut engine = Grpc::new(channel);
    match (*verb, rest) {
        ("ready", []) => ready(&mut engine).await,
        ("start", []) => start(&mut engine).await,
        ("exec", [container, command @ ..]) => exec(&mut engine, container, command).await,
        ("remove", [pod]) => remove(&mut engine, pod).await,
        _ => panic!("`{verb}` is no verb"),
    }
}

async fn ready(engine: &mut Grpc<Channel>) -> Result<ExitCode, Status> {
    let _: Nothing = call(engine, "Status", Nothing {}).await?;
    Ok(ExitCode::SUCCESS)
}

async fn start(engine: &mut Grpc<Channel>) -> Result<ExitCode, Status> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("there is an input");
    let pod: Pod = serde_json::from_str(&text).expect("a pod");
    let config = sandbox(&pod);
    let request = RunPodSandbox { config: Some(config.clone()), runtime_handler: pod.handler.clone() };
    let made: Id = call(engine, "RunPodSandbox", request).await?;
    let container = CreateContainer {
        pod_sandbox_id: made.id.clone(),
        config: Some(container(&pod)),
        sandbox_config: Some(config),
    };
    match start_container(engine, container).await {
        Ok(id) => {
            println!("{} {id}", made.id);
            Ok(ExitCode::SUCCESS)
        }
        Err(status) => {
            remove(engine, &made.id).await?;
            Err(status)
        }
    }
}

async fn start_container(engine: &mut Grpc<Channel>, request: CreateContainer) -> Result<String, Status> {
    let made: Id = call(engine, "CreateContainer", request).await?;
    let _: Nothing = call(engine, "StartContainer", made.clone()).await?;
    Ok(made.id)
}

async fn exec(engine: &mut Grpc<Channel>, container: &str, command: &[&str]) -> Result<ExitCode, Status> {
    let cmd = command.iter().map(ToString::to_string).collect();
    let said: Said =
        call(engine, "ExecSync", ExecSync { container_id: container.to_owned(), cmd, timeout: 60 }).await?;
    std::io::stdout().write_all(&said.stdout).expect("there is an output");
    std::io::stderr().write_all(&said.stderr).expect("there is an output");
    Ok(if said.exit_code == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn remove(engine: &mut Grpc<Channel>, pod: &str) -> Result<ExitCode, Status> {
    let _: Nothing = call(engine, "StopPodSandbox", Id { id: pod.to_owned() }).await?;
    let _: Nothing = call(engine, "RemovePodSandbox", Id { id: pod.to_owned() }).await?;
    Ok(ExitCode::SUCCESS)
}

async fn call<Q, A>(engine: &mut Grpc<Channel>, name: &str, request: Q) -> Result<A, Status>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    engine.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/runtime.v1.RuntimeService/{name}").parse().expect("a path");
    Ok(engine.unary(Request::new(request), path, ProstCodec::default()).await?.into_inner())
}

fn sandbox(pod: &Pod) -> PodSandboxConfig {
    let metadata = PodSandboxMetadata {
        name: pod.name.clone(),
        uid: format!("uid-of-{}", pod.name),
        namespace: pod.namespace.clone(),
    };
    let context =
        SandboxSecurityContext { namespace_options: Some(namespaces(pod)), privileged: pod.privileged };
    let linux =
        LinuxPodSandboxConfig { cgroup_parent: pod.cgroup_parent.clone(), security_context: Some(context) };
    PodSandboxConfig {
        metadata: Some(metadata),
        log_directory: pod.logs.clone(),
        annotations: pod.annotations.clone(),
        linux: Some(linux),
    }
}

fn container(pod: &Pod) -> ContainerConfig {
    let context =
        ContainerSecurityContext { privileged: pod.privileged, namespace_options: Some(namespaces(pod)) };
    let device = |path: &String| Device {
        container_path: path.clone(),
        host_path: path.clone(),
        permissions: "rw".to_owned(),
    };
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: "main".to_owned() }),
        image: Some(ImageSpec { image: pod.image.clone() }),
        command: pod.command.clone(),
        envs: pod
            .environment
            .iter()
            .map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() })
            .collect(),
        devices: pod.devices.iter().map(device).collect(),
        annotations: BTreeMap::new(),
        log_path: "main.log".to_owned(),
        linux: Some(LinuxContainerConfig { security_context: Some(context) }),
    }
}

fn namespaces(pod: &Pod) -> NamespaceOption {
    NamespaceOption { network: NODE, pid: if pod.host_pid { NODE } else { 0 } }
}
