/** `isolambda`: what a module that serves itself, or a program that embeds the product, may use. */
export { launch } from './launch.ts';
export { runLambda, type RunningLambda, type RunOptions } from './run.ts';
export { startHost, type Host, type HostOptions } from './app.ts';
export { compileConfig, type Config } from './config/config.ts';
