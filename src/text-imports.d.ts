/** Files that are bundled as text (`with { type: "text" }`). */
declare module "*.yaml" {
  const text: string;
  export default text;
}
