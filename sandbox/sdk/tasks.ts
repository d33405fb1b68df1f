/** `lambda-tools/tasks`: what a lambda of type `tasks` imports. */
export { BaseLambdaTask, UserTaskLambdaException, type TaskData } from './core/task.ts';
